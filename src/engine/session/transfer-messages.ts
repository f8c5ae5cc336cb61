import type { MigrationStatus } from '../../domain/migration/migration-status.ts';
import type {
  MigrationAddress,
  MigrationEnd,
  PassFigures,
  TransferError,
} from '../../domain/ports/migration-session.ts';
import type { LoadedMachine } from '../memory/machine-state.ts';
import type { IncomingPlan, OutgoingPlan } from '../transfer-engine.ts';

/*
 * Every message between the main thread and a transfer worker: plain data, which is cloned, and shared memory. A worker
 * receives one `source` or `target` order and ends after its `ended` message. A worker that still listens then receives
 * another `target` order, or `stop-listening`.
 */

/** The error code of a failed migration, from the domain's table of errors. */
export type TransferCode = TransferError['code'];

/** Buffers of the shared cells of a migration. */
export type SharedCells = {
  readonly status: SharedArrayBuffer;
  readonly figures: SharedArrayBuffer;
  readonly live: SharedArrayBuffer;
  readonly heartbeat: SharedArrayBuffer;
};

export type ToWorker =
  | { readonly type: 'source'; readonly plan: OutgoingPlan; readonly cells: SharedCells }
  | { readonly type: 'target'; readonly plan: IncomingPlan; readonly cells: SharedCells }
  /** The status or a live parameter has changed. */
  | { readonly type: 'wake' }
  | { readonly type: 'continue' }
  /** Source: the guest's disks were released for the target, or could not be. */
  | { readonly type: 'disks-released'; readonly error: TransferError | null }
  /** Target: capabilities were changed before a sender came. */
  | { readonly type: 'capabilities'; readonly capabilities: readonly string[] }
  /** Target: the guest has been adopted and runs. */
  | { readonly type: 'started' }
  | { readonly type: 'refused'; readonly error: TransferError }
  /** Target: the incoming migration is ended by the operator; a listener is closed. */
  | { readonly type: 'abort' }
  /** Target, after an end with `isListening`: no further sender is expected. */
  | { readonly type: 'stop-listening' };

export type FromWorker =
  | { readonly type: 'status'; readonly status: MigrationStatus }
  | { readonly type: 'pass'; readonly pass: number }
  | { readonly type: 'pass-ended'; readonly figures: PassFigures }
  /** The other side is a vmferry, and the migration has this id on both sides. */
  | { readonly type: 'shared'; readonly id: string }
  /** Source: with the capability dirty-limit, every vCPU is to be limited to `vcpu-dirty-limit`. */
  | { readonly type: 'limit-vcpus' }
  | { readonly type: 'guest-stopped' }
  | { readonly type: 'guest-resumed' }
  /** The guest is stopped: its disks are to be released for the target. Answered by `disks-released`. */
  | { readonly type: 'release-disks' }
  | { readonly type: 'listening'; readonly address: MigrationAddress }
  /** Target: a connection that was no sender was closed; the listener continues. */
  | { readonly type: 'rejected'; readonly error: TransferError }
  | { readonly type: 'loaded'; readonly machine: LoadedMachine }
  | { readonly type: 'ended'; readonly end: MigrationEnd; readonly isListening: boolean };
