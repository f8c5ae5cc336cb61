/**
 * The lifecycle of a migration: one table, one shared word, changed only by compare-and-set.
 *
 * - none: nothing has happened yet. Left by the first migration.
 * - setup: channels are being opened. Left when the stream is set up, or by a failure or a cancel.
 * - wait-unplug: the guest is asked to give up a failover device.
 * - active: pages travel while the guest runs.
 * - pre-switchover: the guest is stopped and an operator's word is awaited (pause-before-switchover).
 * - device: the guest is stopped; the last pages and the devices travel. Its last part is *handed over*: from the
 *   moment before the stream's end mark may leave this side the target may run the guest, so no cancel is taken.
 * - cancelling: a cancel won; the worker is letting go. Left for cancelled only.
 * - postcopy-*: the guest lives on the target and fetches its pages from here.
 * - colo: the target is kept in lock step.
 * - completed, failed, cancelled: the end. Left only by the next migration.
 *
 * The main thread (cancel, a new migration) and one worker (everything else) write the word. Whoever loses a
 * compare-and-set reads the word again and obeys it.
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

/** Set beside the code of `device` once the stream's end mark may have left this side. */
const HANDED_OVER = 0x100;
const CODE_MASK = 0xff;

/** What came of a cancel. */
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
 * Every change is a compare-and-set against a state that was read, so two writers never both win.
 */
export class SharedStatus {
  readonly buffer: SharedArrayBuffer;
  readonly #cell: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.buffer = buffer;
    this.#cell = new Int32Array(buffer, 0, 1);
  }

  /** The status now. */
  read(): MigrationStatus {
    return decode(Atomics.load(this.#cell, 0));
  }

  /** True from the moment when the target may own the guest. */
  isHandedOver(): boolean {
    return (Atomics.load(this.#cell, 0) & HANDED_OVER) !== 0;
  }

  /**
   * Moves from `from` to `to` if the status is still `from`.
   * @returns false if another thread changed it first; then nothing is changed
   * @throws RangeError if the table does not allow the step: a fault in the caller.
   */
  transition(from: MigrationStatus, to: MigrationStatus): boolean {
    if (!isAllowed(from, to)) throw new RangeError(`migration status ${from} does not lead to ${to}`);
    const handedOver = from === 'device' && this.isHandedOver() ? HANDED_OVER : 0;
    return this.#swap(encode(from) | handedOver, encode(to));
  }

  /** Marks `device` as handed over: the last moment at which a cancel could still win is before this call. */
  handOver(): boolean {
    return this.#swap(encode('device'), encode('device') | HANDED_OVER);
  }

  /**
   * Decides a cancel. 'cancelled' means that this or an earlier call won: the word is `cancelling` or `cancelled`,
   * and the worker will let go.
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

/** The outcome of a cancel in a state that it cannot change, or null where it has to win a compare-and-set. */
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

function decode(word: number): MigrationStatus {
  const status = MIGRATION_STATUSES[word & CODE_MASK];
  if (status === undefined) throw new RangeError(`the status word holds an unknown code: ${word}`);
  return status;
}

/**
 * MigrationStatus of the QAPI schema, in its order. The position of a name is the code that the shared status word
 * holds, so the list may only grow at its end.
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

/** True while a migration is under way: another may not begin and capabilities may not change. */
export function isRunning(status: MigrationStatus): boolean {
  return !isIdle(status);
}

/** True before the first migration and after one has ended. */
export function isIdle(status: MigrationStatus): boolean {
  return status === 'none' || isEnded(status);
}

/** True once a migration has ended, whichever way. */
export function isEnded(status: MigrationStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}
