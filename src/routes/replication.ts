import { Type } from 'typebox';
import * as commands from '../commands/replication.ts';
import { Empty } from '../commands/schemas/common.ts';
import { COLOStatus, DeviceStateFile, ReplicationStatus } from '../commands/schemas/replication.ts';
import * as examples from './examples/migrate.ts';
import type { Operation, Reply } from './operation.ts';
import { type AnyErrorCode, PROBLEM_TYPE } from './plugins/problem-details.ts';

/** What a file, and the machine whose devices it is to hold, may be refused for. */
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

const NOTHING_REPLICATED = 'No disk is replicated here: answered as by a QEMU of which that is true.';

export const xenOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/xen/save-devices-state',
    id: 'xenSaveDevicesState',
    tag: 'machine',
    command: commands.xenSaveDevicesState,
    description:
      'Neither RAM nor disks: they are kept by whoever asks. A guest that runs stands still for a moment. A file that is ' +
      'there is replaced once the new one is whole. QEMU reads it with the same machine, started with ' +
      '-global migration.send-configuration=off and -incoming.',
    input: 'body',
    replies: { 200: { description: 'The file is there.', schema: DeviceStateFile } },
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
      'The guest must be stopped, and stays so. RAM and disks stay as they are: if they are of another moment than the ' +
      'devices, a synthetic guest finds that out and stops.',
    input: 'body',
    replies: { 200: { description: 'The devices are as the file has them.', schema: Empty } },
    errors: [...DEVICE_ERRORS, 'machine_running', 'device_state_refused', 'engine_failed'],
    examples: examples.xenLoadDevicesState,
  },
  {
    method: 'POST',
    path: '/xen/set-global-dirty-log',
    id: 'xenSetGlobalDirtyLog',
    tag: 'machine',
    command: commands.xenSetGlobalDirtyLog,
    description: 'Changes nothing: the dirty log of a machine here is always on.',
    input: 'body',
    replies: { 200: { description: 'Nothing has changed.', schema: Empty } },
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
      200: { description: 'Done for all replicated disks, of which there is none.', schema: ReplicationStatus },
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
    replies: { 200: { description: 'No error.', schema: ReplicationStatus } },
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
      200: { description: 'Done for all replicated disks, of which there is none.', schema: ReplicationStatus },
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
    description: 'COLO is not there yet: the machine is never in it.',
    input: 'query',
    replies: { 200: { description: 'The mode now, and the last one.', schema: COLOStatus } },
    errors: [],
    examples: examples.queryColoStatus,
  },
  {
    method: 'POST',
    path: '/colo/lost-heartbeat',
    id: 'coloLostHeartbeat',
    tag: 'migration',
    command: commands.coloLostHeartbeat,
    description: 'Refused outside COLO, and so always as long as that is not there.',
    input: 'nothing',
    replies: { 200: { description: 'This side takes over.', schema: COLOStatus }, 409: NOT_IN_COLO },
    errors: ['not_in_colo'],
    examples: examples.coloLostHeartbeat,
  },
];
