import { Job } from '../commands/schemas/jobs.ts';
import { SnapshotDetail, SnapshotPage } from '../commands/schemas/snapshots.ts';
import * as commands from '../commands/snapshots.ts';
import { watchJobs } from '../commands/waiting.ts';
import * as examples from './examples/snapshots.ts';
import { sendStartedJob } from './http/accepted-work.ts';
import { CONDITIONAL_HEADERS, LINK, NOT_MODIFIED, sendContentTagged, TAGGED, WAIT_GRANTED } from './http/answers.ts';
import { KEY_ERRORS, KEY_HEADERS } from './http/idempotency-key.ts';
import type { Operation, Reply } from './operation.ts';

const HEADERS = {
  Prefer: 'wait=SECONDS (at most 60): the service answers when the job has ended.',
  ...KEY_HEADERS,
};

const JOB_HEADERS = {
  Location: 'Path of the job.',
  ...WAIT_GRANTED,
  'Idempotency-Replayed': 'true if an earlier request with the same key started the job.',
};

const ACCEPTED: Readonly<Record<number, Reply>> = {
  200: {
    description: 'With Prefer: wait: the job has ended; error tells why it failed, if it did.',
    schema: Job,
    headers: JOB_HEADERS,
  },
  202: {
    description: 'The job was created. For a repeated Idempotency-Key, the answer is that of the first request.',
    schema: Job,
    headers: JOB_HEADERS,
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
    description:
      'All parts with the same tag on the nodes form one snapshot. Snapshots of other programs are listed too.',
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
      'digests are read from the images, if they were stored with the snapshot. This operation does not compare them with the ' +
      'content; the operation snapshotVerify does.',
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
      'By default, devices are all writable nodes and vmstate is the first of devices. The guest stops (run state save-vm) until ' +
      'its memory and disks are captured, and runs again while digests are computed. A snapshot that replaces another one is first ' +
      'saved under a temporary tag; after a crash, the next start completes the replacement.',
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
    handle: sendStartedJob,
  },
  {
    method: 'POST',
    path: '/snapshots/:tag/load',
    id: 'snapshotLoad',
    tag: 'snapshots',
    command: commands.snapshotLoad,
    takesShortForm: true,
    description:
      'By default, devices are the nodes that have the tag, and vmstate is the one of them with the VM state. The guest and its ' +
      'disks change together. If anything is wrong with the snapshot, nothing changes and the guest continues.',
    input: 'body or query',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [...NODE_ERRORS, ...MACHINE_ERRORS, 'snapshot_not_found', 'snapshot_without_vm_state'],
    examples: examples.snapshotLoad,
    handle: sendStartedJob,
  },
  {
    method: 'POST',
    path: '/snapshots/:tag/verify',
    id: 'snapshotVerify',
    tag: 'snapshots',
    command: commands.snapshotVerify,
    description:
      'Reads every byte and compares it with the digests that were stored with the snapshot. Without digests, it checks only the ' +
      'structure and that the stream can be read. result of the job has the digests, or the place of the damage.',
    input: 'body or query',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [...NODE_ERRORS, 'snapshot_not_found', 'snapshot_without_vm_state'],
    examples: examples.snapshotVerify,
    handle: sendStartedJob,
  },
  {
    method: 'POST',
    path: '/images/compact',
    id: 'snapshotCompact',
    tag: 'snapshots',
    command: commands.snapshotCompact,
    description:
      'By default, devices are all writable nodes. The job moves used clusters at the end of each image file into free clusters ' +
      'before them, truncates the file after the last used cluster, and makes the other free clusters holes. The guest may run ' +
      'meanwhile. The image is valid at every moment; a cancel keeps the moves made so far. result of the job has the length and ' +
      'the disk usage of each file, before and after.',
    input: 'body or query',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [...NODE_ERRORS, ...ABSENT_ERRORS, 'node_read_only'],
    examples: examples.snapshotCompact,
    handle: sendStartedJob,
  },
  {
    method: 'DELETE',
    path: '/snapshots/:tag',
    id: 'snapshotDelete',
    tag: 'snapshots',
    command: commands.snapshotDelete,
    takesShortForm: true,
    description: 'By default, devices are the nodes that have the tag. Nodes without the tag are skipped.',
    input: 'body or query',
    headers: HEADERS,
    replies: ACCEPTED,
    errors: [...NODE_ERRORS, ...ABSENT_ERRORS, 'node_read_only', 'snapshot_not_found'],
    examples: examples.snapshotDelete,
    handle: sendStartedJob,
  },
];
