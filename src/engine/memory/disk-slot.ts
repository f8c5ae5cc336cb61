import type { MessagePort } from 'node:worker_threads';

/**
 * One request of the guest to its disk, in shared memory: words that say what is asked for, a text for what went wrong,
 * and a data area. There is one slot for a guest, so it has at most one request in flight.
 *
 * | state     | owner of all of it | left when |
 * |-----------|--------------------|-----------|
 * | idle      | the guest's vCPU 0 | it has filled in a request: `submit`, then a message on the port |
 * | submitted | the block thread   | it has served the request: `complete`, `fail` or `refuse`, then it wakes the vCPU |
 * | done, failed | vCPU 0          | it has taken the answer: `take` |
 * | full      | vCPU 0             | it asks for the same again: `retry`, then a message on the port |
 *
 * While no vCPU runs and nothing is submitted, the main thread may `reset` it, which drops an answer that nobody took.
 * The state word is written last and read first, so that whoever finds itself the owner sees all that was written.
 */
export const DISK_DATA_BYTES = 65536;

const STATES = ['idle', 'submitted', 'done', 'failed', 'full'] as const;
const OPERATIONS = ['read', 'write', 'flush'] as const;
const STATE = 0;
const OPERATION = 1;
const BYTES = 2;
const ERROR_BYTES = 3;
const OFFSET_BYTE = 16;
const HEAD_BYTES = 64;
const ERROR_BYTES_MAX = 512;

export type DiskSlotState = (typeof STATES)[number];

/** What the guest asks for. `offset` and `bytes` on its disk; a flush has neither. */
export type DiskRequest = {
  readonly operation: (typeof OPERATIONS)[number];
  readonly offset: number;
  /** DISK_DATA_BYTES at most. */
  readonly bytes: number;
};

/** How a request went: null, or what went wrong in words. */
export type DiskAnswer = { readonly error: string | null };

/** What a block thread needs to serve a machine's disk. */
export type DiskAttachment = {
  /** A message on it, whatever it says, means that the slot holds a request. It is to be moved to the block thread. */
  readonly port: MessagePort;
  /** Of a DiskSlot. */
  readonly slot: SharedArrayBuffer;
  /** VcpuControl words; `addHold(0)` after an answer wakes the vCPU that waits for it. */
  readonly vcpuControl: SharedArrayBuffer;
};

export class DiskSlot {
  readonly buffer: SharedArrayBuffer;
  /** Whole data area: what is to be written, or what was read. */
  readonly data: Uint8Array;
  readonly #words: Int32Array;
  readonly #offset: BigUint64Array;
  readonly #error: Uint8Array;

  constructor(buffer = new SharedArrayBuffer(HEAD_BYTES + ERROR_BYTES_MAX + DISK_DATA_BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 4);
    this.#offset = new BigUint64Array(buffer, OFFSET_BYTE, 1);
    this.#error = new Uint8Array(buffer, HEAD_BYTES, ERROR_BYTES_MAX);
    this.data = new Uint8Array(buffer, HEAD_BYTES + ERROR_BYTES_MAX, DISK_DATA_BYTES);
  }

  get state(): DiskSlotState {
    return STATES[Atomics.load(this.#words, STATE)] ?? 'idle';
  }

  /** Guest: hands the request over; for a write, what `data` begins with goes with it. @throws Error unless idle. */
  submit({ operation, offset, bytes }: DiskRequest): void {
    this.#expect('idle');
    if (bytes < 0 || bytes > DISK_DATA_BYTES) throw new RangeError(`a request of ${bytes} bytes does not fit the slot`);
    this.#words[OPERATION] = OPERATIONS.indexOf(operation);
    this.#words[BYTES] = bytes;
    this.#offset[0] = BigInt(offset);
    this.#move('submitted');
  }

  /** Block thread: what is to be done, or null if nothing is: a message may come late. */
  request(): DiskRequest | null {
    if (this.state !== 'submitted') return null;
    const operation = OPERATIONS[this.#words[OPERATION] ?? 0] ?? 'flush';
    return { operation, offset: Number(this.#offset[0]), bytes: this.#words[BYTES] ?? 0 };
  }

  /** Block thread: the request was served; what was read is in `data`. @throws Error unless submitted. */
  complete(): void {
    this.#expect('submitted');
    this.#move('done');
  }

  /** Block thread: it was not, and why; a long text is cut. @throws Error unless submitted. */
  fail(message: string): void {
    this.#expect('submitted');
    // Not every encoder writes into shared memory; this one also cuts between characters.
    const text = new Uint8Array(ERROR_BYTES_MAX);
    this.#words[ERROR_BYTES] = new TextEncoder().encodeInto(message, text).written;
    this.#error.set(text);
    this.#move('failed');
  }

  /** Block thread: there was no room for it on the host, and nothing was done. @throws Error unless submitted. */
  refuse(): void {
    this.#expect('submitted');
    this.#move('full');
  }

  /** Guest: asks once more for what was refused. @throws Error unless it was. */
  retry(): void {
    this.#expect('full');
    this.#move('submitted');
  }

  /** Guest: the answer, which leaves the slot idle with `data` as it is; null while there is none. */
  take(): DiskAnswer | null {
    const { state } = this;
    if (state !== 'done' && state !== 'failed') return null;
    const error = state === 'done' ? null : this.#errorText();
    this.#move('idle');
    return { error };
  }

  /** Drops an answer that was not taken. For a guest that stands still. @throws Error if a request is in flight. */
  reset(): void {
    if (this.state === 'submitted') throw new Error('a request to the guest disk is in flight');
    this.#move('idle');
  }

  #errorText(): string {
    return new TextDecoder().decode(Uint8Array.from(this.#error.subarray(0, this.#words[ERROR_BYTES])));
  }

  #expect(state: DiskSlotState): void {
    if (this.state !== state) throw new Error(`the disk slot is ${this.state}; it must be ${state}`);
  }

  #move(state: DiskSlotState): void {
    Atomics.store(this.#words, STATE, STATES.indexOf(state));
  }
}
