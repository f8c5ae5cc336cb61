import type { Static } from 'typebox';
import { DomainError } from '../domain/errors.ts';
import { command, shortForm } from './command.ts';
import { Empty } from './schemas/common.ts';
import { PAGE_LIMIT_DEFAULT } from './schemas/history.ts';
import { Job } from './schemas/jobs.ts';
import {
  SnapshotArguments,
  SnapshotCompactRequest,
  SnapshotDeleteArguments,
  SnapshotDeleteRequest,
  SnapshotDetail,
  SnapshotPage,
  SnapshotRequest,
  SnapshotSaveRequest,
  SnapshotsQuery,
  SnapshotTag,
  VmList,
  VmName,
  VmSaved,
} from './schemas/snapshots.ts';
import { jobView } from './views/job-view.ts';
import { snapshotDetailView, snapshotView } from './views/snapshot.ts';

/*
 * Snapshots of the machine. Each command that reads or changes images starts a job and answers when the job's row is stored. The
 * commands of QAPI report all errors through the job, as QEMU does. The short forms refuse at once a request whose job would
 * fail.
 */

export const snapshotSave = command({
  name: 'snapshot-save',
  summary: 'Save the machine and its disks under a tag',
  qapi: { returns: 'nothing' },
  role: 'operator',
  begins: true,
  arguments: SnapshotArguments,
  result: Job,
  run: ({ snapshots }, { 'job-id': jobId, vmstate: vmState, ...rest }, { begun }) =>
    jobView(snapshots.save({ jobId, vmState, ...rest }, (job) => begun?.(jobView(job), job.sequence))),
});

export const snapshotSaveAs = command({
  name: 'x-ferry-snapshot-save',
  summary: 'Save the machine, or its disks alone, with options',
  qapi: null,
  role: 'operator',
  begins: true,
  arguments: SnapshotSaveRequest,
  result: Job,
  run: ({ snapshots }, { tag, devices, vmstate, 'job-id': jobId, ...options }, { begun }) => {
    const all = devices ?? snapshots.nodesToSave().devices;
    const request = { tag, devices: all, ...saveOptions(options, vmstate, all) };
    snapshots.checkSave(request);
    const job = snapshots.save({ jobId: jobId ?? snapshots.newJobId('save'), ...request }, (made) =>
      begun?.(jobView(made), made.sequence),
    );
    return jobView(job);
  },
});

type SaveOptions = Omit<Static<typeof SnapshotSaveRequest>, 'tag' | 'devices' | 'vmstate' | 'job-id'>;

/** @throws DomainError for options that exclude each other */
function saveOptions(options: SaveOptions, vmstate: string | undefined, devices: readonly string[]) {
  const { replace = false, 'if-missing': ifMissing = false, 'disk-only': diskOnly = false, description, ttl } = options;
  if (replace && ifMissing) throw excluded('/if-missing', 'if-missing and replace');
  if (diskOnly && vmstate !== undefined) throw excluded('/vmstate', 'vmstate and disk-only');
  return {
    vmState: diskOnly ? null : (vmstate ?? devices[0] ?? ''),
    existing: replace ? 'replace' : ifMissing ? 'keep' : 'refuse',
    ...(description === undefined ? {} : { description }),
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
  } as const;
}

function excluded(pointer: string, both: string): DomainError {
  const reason = `${both} exclude each other; give one of them.`;
  return new DomainError('value_out_of_range', reason, { violations: [{ pointer, reason }] });
}

export const snapshotLoad = command({
  name: 'snapshot-load',
  summary: 'Restore the machine and its disks from a snapshot',
  qapi: { returns: 'nothing' },
  role: 'operator',
  begins: true,
  arguments: SnapshotArguments,
  result: Job,
  run: ({ snapshots }, { 'job-id': jobId, vmstate: vmState, ...rest }, { begun }) =>
    jobView(snapshots.load({ jobId, vmState, ...rest }, (job) => begun?.(jobView(job), job.sequence))),
  short: shortForm(SnapshotRequest, ({ snapshots }, { tag, devices, vmstate, 'job-id': jobId }) => {
    const found = snapshots.nodesToLoad(tag, devices);
    const given = { tag, devices: found.devices, vmstate: vmstate ?? found.vmState };
    snapshots.checkLoad({ tag, vmState: given.vmstate, devices: given.devices });
    return { 'job-id': jobId ?? snapshots.newJobId('load'), ...given };
  }),
});

export const snapshotDelete = command({
  name: 'snapshot-delete',
  summary: 'Delete a snapshot from its nodes',
  qapi: { returns: 'nothing' },
  role: 'operator',
  begins: true,
  arguments: SnapshotDeleteArguments,
  result: Job,
  run: ({ snapshots }, { 'job-id': jobId, ...rest }, { begun }) =>
    jobView(snapshots.delete({ jobId, ...rest }, (job) => begun?.(jobView(job), job.sequence))),
  short: shortForm(SnapshotDeleteRequest, ({ snapshots }, { tag, devices, 'job-id': jobId }) => {
    const given = { tag, devices: snapshots.nodesToDelete(tag, devices) };
    snapshots.checkDelete(given);
    return { 'job-id': jobId ?? snapshots.newJobId('delete'), ...given };
  }),
});

export const snapshotVerify = command({
  name: 'x-ferry-snapshot-verify',
  summary: 'Read a snapshot and compare it with its stored digests',
  qapi: null,
  role: 'operator',
  begins: true,
  arguments: SnapshotRequest,
  result: Job,
  run: ({ snapshots }, { tag, devices, vmstate, 'job-id': jobId }, { begun }) => {
    const found = snapshots.nodesToVerify(tag, devices);
    const request = { tag, devices: found.devices, vmState: vmstate ?? found.vmState };
    const job = snapshots.verify({ jobId: jobId ?? snapshots.newJobId('verify'), ...request }, (made) =>
      begun?.(jobView(made), made.sequence),
    );
    return jobView(job);
  },
});

export const snapshotCompact = command({
  name: 'x-ferry-snapshot-compact',
  summary: 'Shorten image files to the clusters that they use',
  qapi: null,
  role: 'operator',
  begins: true,
  arguments: SnapshotCompactRequest,
  result: Job,
  run: ({ snapshots }, { devices, 'job-id': jobId }, { begun }) => {
    const request = { devices: devices ?? snapshots.nodesToSave().devices };
    const job = snapshots.compact({ jobId: jobId ?? snapshots.newJobId('compact'), ...request }, (made) =>
      begun?.(jobView(made), made.sequence),
    );
    return jobView(job);
  },
});

export const querySnapshots = command({
  name: 'x-ferry-query-snapshots',
  summary: 'The snapshots on the block device nodes, newest first',
  qapi: null,
  role: 'viewer',
  arguments: SnapshotsQuery,
  result: SnapshotPage,
  run: ({ snapshots }, { limit = PAGE_LIMIT_DEFAULT, cursor = null, node }) => {
    const page = snapshots.list({ limit, cursor, ...(node === undefined ? {} : { node }) });
    return { snapshots: page.items.map(snapshotView), next: page.next };
  },
});

export const querySnapshot = command({
  name: 'x-ferry-query-snapshot',
  summary: 'One snapshot: its parts, whether it is complete, and its stored digests',
  qapi: null,
  role: 'viewer',
  arguments: SnapshotTag,
  result: SnapshotDetail,
  run: async ({ snapshots }, { tag }) => {
    const snapshot = snapshots.get(tag);
    return snapshotDetailView(snapshot, await snapshots.digests(snapshot));
  },
});

/* Snapshot commands of the text monitor. They use all writable nodes, and answer when the job has ended. */

export const saveVm = command({
  name: 'x-ferry-savevm',
  summary: 'Save the machine under a name, and replace a snapshot with this name',
  qapi: null,
  role: 'operator',
  begins: true,
  arguments: VmName,
  result: VmSaved,
  run: async ({ snapshots }, { name }) => ({ name: await snapshots.saveVm(name ?? null) }),
});

export const loadVm = command({
  name: 'x-ferry-loadvm',
  summary: 'Restore the machine from a snapshot, and wait for the end',
  qapi: null,
  role: 'operator',
  begins: true,
  arguments: SnapshotTag,
  result: Empty,
  run: async ({ snapshots }, { tag }) => {
    await snapshots.loadVm(tag);
    return {};
  },
});

export const deleteVm = command({
  name: 'x-ferry-delvm',
  summary: 'Delete a snapshot, if it exists, and wait for the end',
  qapi: null,
  role: 'operator',
  begins: true,
  arguments: SnapshotTag,
  result: Empty,
  run: async ({ snapshots }, { tag }) => {
    await snapshots.deleteVm(tag);
    return {};
  },
});

export const queryVmSnapshots = command({
  name: 'x-ferry-query-vm-snapshots',
  summary: 'The snapshots that are on all nodes, and those that are only on some, oldest first',
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: VmList,
  run: ({ snapshots }) => {
    const { all, partial } = snapshots.listVm();
    return { all: all.map(snapshotView), partial: partial.map(snapshotView) };
  },
});
