/** Cells: beats so far, and the number of the thread. */
const BEATS = 0;
const THREAD_ID = 1;
const CELLS = 2;

/** Signs of life of one worker thread, in shared memory: the worker writes them, the main thread reads them. */
export class Heartbeat {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(CELLS * 4)) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer);
  }

  beat(): void {
    Atomics.add(this.#cells, BEATS, 1);
  }

  /** Beats so far; the count wraps around after 2^32. */
  get beats(): number {
    return Atomics.load(this.#cells, BEATS);
  }

  /** As the operating system counts its threads; 0: not known. */
  get threadId(): number {
    return Atomics.load(this.#cells, THREAD_ID);
  }

  set threadId(id: number) {
    Atomics.store(this.#cells, THREAD_ID, id);
  }
}
