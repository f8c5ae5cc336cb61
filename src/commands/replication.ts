import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import {
  COLOStatus,
  DeviceStateFile,
  ReplicationStatus,
  XenLoadDevicesStateArguments,
  XenSaveDevicesStateArguments,
  XenSetGlobalDirtyLogArguments,
  XenSetReplicationArguments,
} from './schemas/replication.ts';

/* What Xen's tools ask of a QEMU: the state of the devices in a file, the dirty log, and replicated disks. */

export const xenSaveDevicesState = command({
  name: 'xen-save-devices-state',
  summary: 'Write the state of all devices, without RAM and disks, into a file',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: XenSaveDevicesStateArguments,
  result: DeviceStateFile,
  run: ({ devices }, { filename }) => devices.save(filename),
});

export const xenLoadDevicesState = command({
  name: 'xen-load-devices-state',
  summary: 'Put the state of all devices back from a file; the guest must be stopped',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: XenLoadDevicesStateArguments,
  result: Empty,
  run: async ({ devices }, { filename }) => {
    await devices.load(filename);
    return {};
  },
});

export const xenSetGlobalDirtyLog = command({
  name: 'xen-set-global-dirty-log',
  summary: 'Switch the log of dirty pages on or off; it is always on here, and stays so',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: XenSetGlobalDirtyLogArguments,
  result: Empty,
  run: ({ replication }, { enable }) => {
    replication.setDirtyLog(enable);
    return {};
  },
});

export const xenSetReplication = command({
  name: 'xen-set-replication',
  summary: 'Begin or end the replication of disks; none is replicated here',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: XenSetReplicationArguments,
  result: ReplicationStatus,
  run: ({ replication }, request) => {
    replication.setReplication(request);
    return replication.replicationStatus();
  },
});

export const queryXenReplicationStatus = command({
  name: 'query-xen-replication-status',
  summary: 'Whether the replication of disks has met an error',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: ReplicationStatus,
  run: ({ replication }) => replication.replicationStatus(),
});

export const xenColoDoCheckpoint = command({
  name: 'xen-colo-do-checkpoint',
  summary: 'Make replicated disks take a checkpoint; none is replicated here',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: ReplicationStatus,
  run: ({ replication }) => {
    replication.checkpoint();
    return replication.replicationStatus();
  },
});

/* COLO: two machines in lock step. */

export const queryColoStatus = command({
  name: 'query-colo-status',
  summary: 'Whether the machine is in COLO mode, and why it left it',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: COLOStatus,
  run: ({ replication }) => replication.coloStatus(),
});

export const coloLostHeartbeat = command({
  name: 'x-colo-lost-heartbeat',
  summary: 'Tell COLO that its peer is not heard any more, so that this side takes over',
  qapi: { returns: 'nothing', features: ['unstable'] },
  role: 'operator',
  arguments: Empty,
  result: COLOStatus,
  run: ({ replication }) => {
    replication.lostHeartbeat();
    return replication.coloStatus();
  },
});
