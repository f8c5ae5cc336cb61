/** Cells: the number of beats, and the number of the thread. */
const BEATS = 0;
const THREAD_ID = 1;
const CELLS = 2;

/** Heartbeat of one worker thread in shared memory: the worker writes it, the main thread reads it. */
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

  /** Number of beats, modulo 2^32. */
  get beats(): number {
    return Atomics.load(this.#cells, BEATS);
  }

  /** The operating system's number of the thread; 0: not known. */
  get threadId(): number {
    return Atomics.load(this.#cells, THREAD_ID);
  }

  set threadId(id: number) {
    Atomics.store(this.#cells, THREAD_ID, id);
  }
}
