import type { GuestPanic } from '../../domain/ports.ts';

const STATE = 0;
const LENGTH = 1;
const TEXT_OFFSET = 8;
const TEXT_BYTES_MAX = 2048;
const EMPTY = 0;
const CLAIMED = 1;
const WRITTEN = 2;

/** The guest's panic in shared memory: the first finding of whichever thread makes it. */
export class PanicRecord {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(TEXT_OFFSET + TEXT_BYTES_MAX)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 2);
  }

  /** @returns false if the guest has panicked already: the first finding stays. */
  write(panic: GuestPanic): boolean {
    if (Atomics.compareExchange(this.#words, STATE, EMPTY, CLAIMED) !== EMPTY) return false;
    const detail = panic.detail.slice(0, TEXT_BYTES_MAX / 4);
    const text = new TextEncoder().encode(JSON.stringify({ ...panic, detail }));
    new Uint8Array(this.buffer, TEXT_OFFSET).set(text);
    Atomics.store(this.#words, LENGTH, text.length);
    Atomics.store(this.#words, STATE, WRITTEN);
    return true;
  }

  read(): GuestPanic | null {
    if (Atomics.load(this.#words, STATE) !== WRITTEN) return null;
    const text = Uint8Array.from(new Uint8Array(this.buffer, TEXT_OFFSET, Atomics.load(this.#words, LENGTH)));
    return JSON.parse(new TextDecoder().decode(text)) as GuestPanic;
  }

  clear(): void {
    Atomics.store(this.#words, STATE, EMPTY);
  }
}
