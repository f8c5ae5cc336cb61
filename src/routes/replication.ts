import { Type } from 'typebox';
import * as commands from '../commands/replication.ts';
import { Empty } from '../commands/schemas/common.ts';
import { COLOStatus, DeviceStateFile, ReplicationStatus } from '../commands/schemas/replication.ts';
import * as examples from './examples/migrate.ts';
import type { Operation, Reply } from './operation.ts';
import { type AnyErrorCode, PROBLEM_TYPE } from './plugins/problem-details.ts';

/** Errors of commands that write or read a file with device state. */
const DEVICE_ERRORS: readonly AnyErrorCode[] = [
  'invalid_address',
  'file_outside_root',
  'not_a_plain_file',
  'no_such_file',
  'permission_denied',
  'machine_not_loaded',
  'machine_reset_required',
  'migration_in_progress',
  'job_in_progress',
];

const NOTHING_REPLICATED = 'This service replicates no disks. It answers like a QEMU without replicated disks.';

export const xenOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/xen/save-devices-state',
    id: 'xenSaveDevicesState',
    tag: 'machine',
    command: commands.xenSaveDevicesState,
    description:
      'Saves neither RAM nor disks; the caller must save them. A running guest stops for a moment. An existing file is replaced ' +
      'once the new one is complete. QEMU can load the file into the same machine, started with ' +
      '-global migration.send-configuration=off and -incoming.',
    input: 'body',
    replies: { 200: { description: 'The file is written.', schema: DeviceStateFile } },
    errors: [...DEVICE_ERRORS, 'no_space', 'engine_failed'],
    examples: examples.xenSaveDevicesState,
  },
  {
    method: 'POST',
    path: '/xen/load-devices-state',
    id: 'xenLoadDevicesState',
    tag: 'machine',
    command: commands.xenLoadDevicesState,
    description:
      'The guest must be stopped, and stays stopped. RAM and disks do not change. If they are from another moment than the ' +
      'devices, a synthetic guest detects this and stops.',
    input: 'body',
    replies: { 200: { description: 'The devices have the state of the file.', schema: Empty } },
    errors: [...DEVICE_ERRORS, 'machine_running', 'device_state_refused', 'engine_failed'],
    examples: examples.xenLoadDevicesState,
  },
  {
    method: 'POST',
    path: '/xen/set-global-dirty-log',
    id: 'xenSetGlobalDirtyLog',
    tag: 'machine',
    command: commands.xenSetGlobalDirtyLog,
    description: 'Has no effect: the dirty log of this service is always on.',
    input: 'body',
    replies: { 200: { description: 'Nothing was changed.', schema: Empty } },
    errors: [],
    examples: examples.xenSetGlobalDirtyLog,
  },
  {
    method: 'POST',
    path: '/xen/set-replication',
    id: 'xenSetReplication',
    tag: 'machine',
    command: commands.xenSetReplication,
    description: NOTHING_REPLICATED,
    input: 'body',
    replies: {
      200: { description: 'Accepted. There are no replicated disks.', schema: ReplicationStatus },
    },
    errors: ['incompatible_parameters'],
    examples: examples.xenSetReplication,
  },
  {
    method: 'GET',
    path: '/xen/replication-status',
    id: 'queryXenReplicationStatus',
    tag: 'machine',
    command: commands.queryXenReplicationStatus,
    description: NOTHING_REPLICATED,
    input: 'query',
    replies: { 200: { description: 'There is no error.', schema: ReplicationStatus } },
    errors: [],
    examples: examples.queryXenReplicationStatus,
  },
  {
    method: 'POST',
    path: '/xen/colo-do-checkpoint',
    id: 'xenColoDoCheckpoint',
    tag: 'machine',
    command: commands.xenColoDoCheckpoint,
    description: NOTHING_REPLICATED,
    input: 'nothing',
    replies: {
      200: { description: 'Accepted. There are no replicated disks.', schema: ReplicationStatus },
    },
    errors: [],
    examples: examples.xenColoDoCheckpoint,
  },
];

const NOT_IN_COLO: Reply = {
  description: 'The machine is not in COLO mode.',
  schema: Type.Object({ status: Type.Integer(), code: Type.String() }),
  type: PROBLEM_TYPE,
};

export const coloOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/colo',
    id: 'queryColoStatus',
    tag: 'migration',
    command: commands.queryColoStatus,
    description: 'This version has no COLO, so the machine is never in COLO mode.',
    input: 'query',
    replies: { 200: { description: 'The current mode and the previous one.', schema: COLOStatus } },
    errors: [],
    examples: examples.queryColoStatus,
  },
  {
    method: 'POST',
    path: '/colo/lost-heartbeat',
    id: 'coloLostHeartbeat',
    tag: 'migration',
    command: commands.coloLostHeartbeat,
    description:
      'Refused unless the machine is in COLO mode. This version has no COLO, so the command is always refused.',
    input: 'nothing',
    replies: { 200: { description: 'This side takes over.', schema: COLOStatus }, 409: NOT_IN_COLO },
    errors: ['not_in_colo'],
    examples: examples.coloLostHeartbeat,
  },
];
