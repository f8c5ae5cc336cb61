/**
 * The statuses of a migration and the allowed changes. The status is shared memory, changed only by compare-and-set.
 *
 * - none: no migration yet.
 * - setup: channels are being opened. Ends when the stream is set up, or by a failure or a cancel.
 * - wait-unplug: the guest is asked to unplug a failover device.
 * - active: pages are sent while the guest runs.
 * - pre-switchover: the guest is stopped, and the migration waits for migrate-continue.
 * - device: the guest is stopped; last pages and devices are sent. *Handed over* from just before the end mark is sent:
 *   the target may run the guest, so a cancel is refused.
 * - cancelling: a cancel was accepted; the worker ends the migration. Followed by cancelled only.
 * - postcopy-*: the guest runs on the target and fetches its pages from here.
 * - colo: the target is kept equal to the source.
 * - completed, failed, cancelled: the end. Followed only by the next migration.
 *
 * The main thread (start, cancel, `started`, cleanup after a crash) and one worker (other steps) change the status.
 * After a failed compare-and-set a thread reads it again and acts on it.
 */
export const TRANSITIONS: Readonly<Record<MigrationStatus, readonly MigrationStatus[]>> = {
  none: ['setup'],
  setup: ['wait-unplug', 'active', 'failed', 'cancelling'],
  'wait-unplug': ['active', 'failed', 'cancelling'],
  active: ['pre-switchover', 'device', 'postcopy-active', 'completed', 'colo', 'failed', 'cancelling'],
  'pre-switchover': ['device', 'failed', 'cancelling'],
  device: ['completed', 'postcopy-active', 'colo', 'failed', 'cancelling'],
  cancelling: ['cancelled'],
  'postcopy-active': ['completed', 'postcopy-paused', 'failed'],
  'postcopy-paused': ['postcopy-recover-setup', 'postcopy-recover', 'failed'],
  'postcopy-recover-setup': ['postcopy-recover', 'postcopy-paused', 'failed'],
  'postcopy-recover': ['postcopy-active', 'postcopy-paused', 'failed'],
  colo: ['completed', 'failed'],
  completed: ['setup'],
  failed: ['setup'],
  cancelled: ['setup'],
};

/** True if the table allows `from` → `to`. */
export function isAllowed(from: MigrationStatus, to: MigrationStatus): boolean {
  return TRANSITIONS[from].includes(to);
}

/** Set beside the code of `device` from just before the end mark of the stream is sent. */
const HANDED_OVER = 0x100;
const CODE_MASK = 0xff;

/** Outcomes of a cancel. */
export const CANCEL_OUTCOMES = [
  'cancelled',
  'already-completed',
  'already-failed',
  'not-cancellable',
  'nothing-to-cancel',
] as const;
export type CancelOutcome = (typeof CANCEL_OUTCOMES)[number];

/**
 * The status of one migration in shared memory, as a 32-bit integer: bits 0–7 are the code, bit 8 is "handed over".
 * Every change is a compare-and-set, so of two writers at most one succeeds.
 */
export class SharedStatus {
  readonly buffer: SharedArrayBuffer;
  readonly #cell: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.buffer = buffer;
    this.#cell = new Int32Array(buffer, 0, 1);
  }

  /** The current status. */
  read(): MigrationStatus {
    return decode(Atomics.load(this.#cell, 0));
  }

  /** True if the target may have the guest. */
  isHandedOver(): boolean {
    return (Atomics.load(this.#cell, 0) & HANDED_OVER) !== 0;
  }

  /**
   * Changes the status from `from` to `to` if it is still `from`.
   * @returns false if another thread changed it first; then nothing is changed
   * @throws RangeError if the table does not allow the step, which is a bug of the caller.
   */
  transition(from: MigrationStatus, to: MigrationStatus): boolean {
    if (!isAllowed(from, to)) throw new RangeError(`migration status ${from} does not lead to ${to}`);
    const handedOver = from === 'device' && this.isHandedOver() ? HANDED_OVER : 0;
    return this.#swap(encode(from) | handedOver, encode(to));
  }

  /** Marks `device` as handed over. @returns false if a cancel came first. */
  handOver(): boolean {
    return this.#swap(encode('device'), encode('device') | HANDED_OVER);
  }

  /**
   * Cancels the migration if its status allows that. 'cancelled': this or an earlier call succeeded. The status is
   * `cancelling` or `cancelled`, and the worker ends the migration.
   */
  cancel(): CancelOutcome {
    for (;;) {
      const word = Atomics.load(this.#cell, 0);
      const status = decode(word);
      const settled = settledCancel(status, (word & HANDED_OVER) !== 0);
      if (settled !== null) return settled;
      if (this.#swap(word, encode('cancelling'))) return 'cancelled';
    }
  }

  #swap(expected: number, replacement: number): boolean {
    return Atomics.compareExchange(this.#cell, 0, expected, replacement) === expected;
  }
}

/** The outcome of a cancel that changes nothing, or null if the status must be changed. */
function settledCancel(status: MigrationStatus, handedOver: boolean): CancelOutcome | null {
  if (status === 'none') return 'nothing-to-cancel';
  if (status === 'completed') return 'already-completed';
  if (status === 'failed') return 'already-failed';
  if (status === 'cancelling' || status === 'cancelled') return 'cancelled';
  if (handedOver || !isAllowed(status, 'cancelling')) return 'not-cancellable';
  return null;
}

function encode(status: MigrationStatus): number {
  return MIGRATION_STATUSES.indexOf(status);
}

function decode(cell: number): MigrationStatus {
  const status = MIGRATION_STATUSES[cell & CODE_MASK];
  if (status === undefined) throw new RangeError(`the shared status holds an unknown code: ${cell}`);
  return status;
}

/**
 * MigrationStatus of the QAPI schema, in its order. The index of a name is its code in the shared status, so new names
 * may only be added at the end.
 */
export const MIGRATION_STATUSES = [
  'none',
  'setup',
  'cancelling',
  'cancelled',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'completed',
  'failed',
  'colo',
  'pre-switchover',
  'device',
  'wait-unplug',
] as const;

export type MigrationStatus = (typeof MIGRATION_STATUSES)[number];

/** How a migration can end. */
export const MIGRATION_OUTCOMES = ['completed', 'failed', 'cancelled'] as const satisfies readonly MigrationStatus[];

/** True while a migration runs: another one may not start, and capabilities may not change. */
export function isRunning(status: MigrationStatus): boolean {
  return !isIdle(status);
}

/** True before the first migration and after one has ended. */
export function isIdle(status: MigrationStatus): boolean {
  return status === 'none' || isEnded(status);
}

/** True if the migration has ended. */
export function isEnded(status: MigrationStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}
