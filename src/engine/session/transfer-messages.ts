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
 * Every message between the main thread and a transfer worker. Plain data, cloned; memory goes as shared memory.
 * A worker takes one `source` or `target` order in its life and ends after its `ended` message. One that is still
 * listening then takes another `target` order, or `stop-listening`.
 */

/** A code that a failed migration may have: one of the domain's table, for which there is a page. */
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
  /** Source: the guest's disks were given to the target, or could not be. */
  | { readonly type: 'disks-released'; readonly error: TransferError | null }
  /** Target: capabilities were changed before a sender came. */
  | { readonly type: 'capabilities'; readonly capabilities: readonly string[] }
  /** Target: the guest has been adopted and runs. */
  | { readonly type: 'started' }
  | { readonly type: 'refused'; readonly error: TransferError }
  /** Target: nobody waits for the guest any more; a listener is closed. */
  | { readonly type: 'abort' }
  /** Target, after an end with `isListening`: no sender is awaited any more. */
  | { readonly type: 'stop-listening' };

export type FromWorker =
  | { readonly type: 'status'; readonly status: MigrationStatus }
  | { readonly type: 'pass'; readonly pass: number }
  | { readonly type: 'pass-ended'; readonly figures: PassFigures }
  /** The other side is a vmferry and knows the migration under this id. */
  | { readonly type: 'shared'; readonly id: string }
  /** Source: with the capability dirty-limit, every vCPU is to be limited to `vcpu-dirty-limit`. */
  | { readonly type: 'limit-vcpus' }
  | { readonly type: 'guest-stopped' }
  | { readonly type: 'guest-resumed' }
  /** The guest stands still: its disks are to be given to the target. Answered by `disks-released`. */
  | { readonly type: 'release-disks' }
  | { readonly type: 'listening'; readonly address: MigrationAddress }
  /** Target: a connection that was no sender was turned away, and the listener goes on. */
  | { readonly type: 'rejected'; readonly error: TransferError }
  | { readonly type: 'loaded'; readonly machine: LoadedMachine }
  | { readonly type: 'ended'; readonly end: MigrationEnd; readonly isListening: boolean };
