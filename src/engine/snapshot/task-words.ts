/** Shared words of one task: what is asked of it, and how far it is. 32 bytes. */
const ASKED_PAUSE = 1;
const ASKED_CANCEL = 2;
const CURRENT = 1;
const TOTAL = 2;

/** Written by the main thread (what is asked) and the block thread (progress); read by both without asking. */
export class TaskWords {
  readonly buffer: SharedArrayBuffer;
  readonly #asked: Int32Array;
  readonly #bytes: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(32)) {
    this.buffer = buffer;
    this.#asked = new Int32Array(buffer, 0, 1);
    this.#bytes = new BigInt64Array(buffer);
  }

  get isPaused(): boolean {
    return (Atomics.load(this.#asked, 0) & ASKED_PAUSE) !== 0;
  }

  set isPaused(isPaused: boolean) {
    if (isPaused) Atomics.or(this.#asked, 0, ASKED_PAUSE);
    else Atomics.and(this.#asked, 0, ~ASKED_PAUSE);
  }

  get isCancelled(): boolean {
    return (Atomics.load(this.#asked, 0) & ASKED_CANCEL) !== 0;
  }

  cancel(): void {
    Atomics.or(this.#asked, 0, ASKED_CANCEL);
  }

  /** Bytes done and to be done; both only grow, and what is done stays within what is to be done. */
  progress(): { readonly current: number; readonly total: number } {
    const current = Number(Atomics.load(this.#bytes, CURRENT));
    const total = Number(Atomics.load(this.#bytes, TOTAL));
    return { current: Math.min(current, total), total };
  }

  addTotal(bytes: number): void {
    Atomics.add(this.#bytes, TOTAL, BigInt(bytes));
  }

  addCurrent(bytes: number): void {
    Atomics.add(this.#bytes, CURRENT, BigInt(bytes));
  }
}
