import { Job } from '../commands/schemas/jobs.ts';
import { SnapshotDetail, SnapshotPage } from '../commands/schemas/snapshots.ts';
import * as commands from '../commands/snapshots.ts';
import { watchJobs } from '../commands/waiting.ts';
import * as examples from './examples/snapshots.ts';
import { sendJobBegun } from './http/accepted-work.ts';
import { CONDITIONAL_HEADERS, LINK, NOT_MODIFIED, sendContentTagged, TAGGED, WAIT_GRANTED } from './http/answers.ts';
import { KEY_ERRORS, KEY_HEADERS } from './http/idempotency-key.ts';
import type { Operation, Reply } from './operation.ts';

const HEADERS = {
  Prefer: 'wait=SECONDS (60 at most): the answer comes when the job has ended.',
  ...KEY_HEADERS,
};

const BEGUN = {
  Location: 'Where the job is.',
  ...WAIT_GRANTED,
  'Idempotency-Replayed': 'true, if an earlier request with the same key began it.',
};

const ACCEPTED: Readonly<Record<number, Reply>> = {
  200: {
    description: 'With Prefer: wait, the job has ended; its error, if it has one, says why it failed.',
    schema: Job,
    headers: BEGUN,
  },
  202: {
    description: 'The job is there. With an Idempotency-Key that came before: as it was answered then.',
    schema: Job,
    headers: BEGUN,
  },
};

const NODE_ERRORS = [
  ...KEY_ERRORS,
  'node_not_found',
  'invalid_devices',
  'job_id_in_use',
  'invalid_job_id',
  'too_many_jobs',
] as const;
const ABSENT_ERRORS = ['machine_inmigrate', 'machine_postmigrate'] as const;
const MACHINE_ERRORS = [
  ...ABSENT_ERRORS,
  'node_read_only',
  'migration_in_progress',
  'machine_reset_required',
  'snapshot_with_capability',
] as const;

export const snapshotsOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/snapshots',
    id: 'querySnapshots',
    tag: 'snapshots',
    command: commands.querySnapshots,
    description: 'What the nodes hold under one tag is one snapshot. It may have been made by another program.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: {
      200: { description: 'A page of snapshots.', schema: SnapshotPage, headers: { ...TAGGED, ...LINK } },
      304: NOT_MODIFIED,
    },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range', 'node_not_found'],
    examples: examples.querySnapshots,
    handle: (call) => sendContentTagged(call, watchJobs(call.context.domain)),
  },
  {
    method: 'GET',
    path: '/snapshots/:tag',
    id: 'querySnapshot',
    tag: 'snapshots',
    command: commands.querySnapshot,
    description:
      'digests are read from the images, where they were kept with the snapshot; nothing is compared with them here, ' +
      'which is what a verify is for.',
    input: 'query',
    replies: { 200: { description: 'The snapshot.', schema: SnapshotDetail } },
    errors: ['snapshot_not_found'],
    examples: examples.querySnapshot,
  },
  {
    method: 'POST',
    path: '/snapshots',
    id: 'snapshotSave',
    tag: 'snapshots',
    command: commands.snapshotSaveAs,
    covers: [commands.snapshotSave],
    description:
      'Left out, devices are all nodes that can be written, and vmstate is the first of devices. The guest stands still ' +
      '(run state save-vm) until its memory and disks are captured, and goes on while digests are made. A snapshot that ' +
      'replaces another is saved under a tag of its own first; a start finishes what a crash interrupts.',
    input: 'body',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [
      ...NODE_ERRORS,
      ...MACHINE_ERRORS,
      'invalid_tag',
      'snapshot_exists',
      'machine_not_loaded',
      'value_out_of_range',
    ],
    examples: examples.snapshotSave,
    handle: sendJobBegun,
  },
  {
    method: 'POST',
    path: '/snapshots/:tag/load',
    id: 'snapshotLoad',
    tag: 'snapshots',
    command: commands.snapshotLoad,
    takesShortForm: true,
    description:
      'Left out, devices are the nodes that hold the tag, and vmstate is the one of them with the VM state. The guest ' +
      'and its disks change together or, if anything is wrong with the snapshot, not at all; then the guest goes on.',
    input: 'body or query',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [...NODE_ERRORS, ...MACHINE_ERRORS, 'snapshot_not_found', 'snapshot_without_vm_state'],
    examples: examples.snapshotLoad,
    handle: sendJobBegun,
  },
  {
    method: 'POST',
    path: '/snapshots/:tag/verify',
    id: 'snapshotVerify',
    tag: 'snapshots',
    command: commands.snapshotVerify,
    description:
      'Reads every byte and compares it with the digests kept with the snapshot; of one without digests, whether its ' +
      'structure holds and its stream can be read. result of the job has the digests, or where the damage is.',
    input: 'body or query',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [...NODE_ERRORS, 'snapshot_not_found', 'snapshot_without_vm_state'],
    examples: examples.snapshotVerify,
    handle: sendJobBegun,
  },
  {
    method: 'POST',
    path: '/images/compact',
    id: 'snapshotCompact',
    tag: 'snapshots',
    command: commands.snapshotCompact,
    description:
      'Left out, devices are all nodes that can be written. Used clusters at the end of each image file are moved into free ' +
      'clusters before them, the file is cut behind the last used cluster, and the other free clusters become holes. The ' +
      'guest may run meanwhile. The image is valid at every moment; after a cancel the moves made so far stay. result of the ' +
      'job has the length and the disk usage of each file, before and after.',
    input: 'body or query',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [...NODE_ERRORS, ...ABSENT_ERRORS, 'node_read_only'],
    examples: examples.snapshotCompact,
    handle: sendJobBegun,
  },
  {
    method: 'DELETE',
    path: '/snapshots/:tag',
    id: 'snapshotDelete',
    tag: 'snapshots',
    command: commands.snapshotDelete,
    takesShortForm: true,
    description: 'Left out, devices are the nodes that hold the tag. Nodes that do not hold it are passed over.',
    input: 'body or query',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [...NODE_ERRORS, ...ABSENT_ERRORS, 'node_read_only', 'snapshot_not_found'],
    examples: examples.snapshotDelete,
    handle: sendJobBegun,
  },
];
