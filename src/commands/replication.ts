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

/* Xen's commands: device state in a file, dirty log, replicated disks. And COLO: two machines that run in lockstep. */

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
  summary: 'Restore the state of all devices from a file; the guest must be stopped',
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
  summary: 'Switch the dirty log on or off; it has no effect, because the log is always on',
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
  summary: 'Start or stop the replication of disks; no disk is replicated here',
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
  summary: 'Make replicated disks take a checkpoint; no disk is replicated here',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: ReplicationStatus,
  run: ({ replication }) => {
    replication.checkpoint();
    return replication.replicationStatus();
  },
});

export const queryColoStatus = command({
  name: 'query-colo-status',
  summary: 'COLO mode of the machine, and why it left COLO',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: COLOStatus,
  run: ({ replication }) => replication.coloStatus(),
});

export const coloLostHeartbeat = command({
  name: 'x-colo-lost-heartbeat',
  summary: 'Report to COLO that its peer has failed, so that this side takes over',
  qapi: { returns: 'nothing', features: ['unstable'] },
  role: 'operator',
  arguments: Empty,
  result: COLOStatus,
  run: ({ replication }) => {
    replication.lostHeartbeat();
    return replication.coloStatus();
  },
});
