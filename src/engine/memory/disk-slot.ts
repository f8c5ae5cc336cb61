import type { MessagePort } from 'node:worker_threads';

/**
 * One request of the guest to its disk, in shared memory: words with the request, the text of an error, and a data area.
 * A guest has one slot, so it has at most one request in progress.
 *
 * | state     | owner of all of it | left when |
 * |-----------|--------------------|-----------|
 * | idle      | the guest's vCPU 0 | it makes a request: `submit`, then a message on the port |
 * | submitted | the block thread   | it answers the request: `complete`, `fail` or `refuse`, then it wakes the vCPU |
 * | done, failed | vCPU 0          | it takes the answer: `take` |
 * | full      | vCPU 0             | it repeats the request: `retry`, then a message on the port |
 *
 * While no vCPU runs and nothing is submitted, the main thread may `reset` the slot, which drops an answer that was not
 * taken. The state word is written last and read first, so that the new owner sees everything that was written.
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

/** A request of the guest: `offset` and `bytes` on its disk; a flush has neither. */
export type DiskRequest = {
  readonly operation: (typeof OPERATIONS)[number];
  readonly offset: number;
  /** DISK_DATA_BYTES at most. */
  readonly bytes: number;
};

/** Outcome of a request: null, or the text of the error. */
export type DiskAnswer = { readonly error: string | null };

/** The connection through which a block thread serves a machine's disk. */
export type DiskAttachment = {
  /** Any message on it means that the slot has a request. The port is transferred to the block thread. */
  readonly port: MessagePort;
  /** Of a DiskSlot. */
  readonly slot: SharedArrayBuffer;
  /** VcpuControl words; `addHold(0)` after an answer wakes the vCPU that waits for it. */
  readonly vcpuControl: SharedArrayBuffer;
};

export class DiskSlot {
  readonly buffer: SharedArrayBuffer;
  /** The whole data area: the bytes to write, or the bytes that were read. */
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

  /** Guest: makes a request; a write takes its bytes from the start of `data`. @throws Error unless idle. */
  submit({ operation, offset, bytes }: DiskRequest): void {
    this.#expect('idle');
    if (bytes < 0 || bytes > DISK_DATA_BYTES) throw new RangeError(`a request of ${bytes} bytes does not fit the slot`);
    this.#words[OPERATION] = OPERATIONS.indexOf(operation);
    this.#words[BYTES] = bytes;
    this.#offset[0] = BigInt(offset);
    this.#move('submitted');
  }

  /** Block thread: the request, or null if there is none, because a message may come late. */
  request(): DiskRequest | null {
    if (this.state !== 'submitted') return null;
    const operation = OPERATIONS[this.#words[OPERATION] ?? 0] ?? 'flush';
    return { operation, offset: Number(this.#offset[0]), bytes: this.#words[BYTES] ?? 0 };
  }

  /** Block thread: the request has succeeded; bytes that were read are in `data`. @throws Error unless submitted. */
  complete(): void {
    this.#expect('submitted');
    this.#move('done');
  }

  /** Block thread: the request has failed with this error; a long text is cut. @throws Error unless submitted. */
  fail(message: string): void {
    this.#expect('submitted');
    // A TextEncoder cuts between characters, but does not write into shared memory.
    const text = new Uint8Array(ERROR_BYTES_MAX);
    this.#words[ERROR_BYTES] = new TextEncoder().encodeInto(message, text).written;
    this.#error.set(text);
    this.#move('failed');
  }

  /** Block thread: the host has no space for it, and nothing was changed. @throws Error unless submitted. */
  refuse(): void {
    this.#expect('submitted');
    this.#move('full');
  }

  /** Guest: repeats the refused request. @throws Error unless full. */
  retry(): void {
    this.#expect('full');
    this.#move('submitted');
  }

  /** Guest: takes the answer. The slot is idle then, and `data` is unchanged. Null while there is no answer. */
  take(): DiskAnswer | null {
    const { state } = this;
    if (state !== 'done' && state !== 'failed') return null;
    const error = state === 'done' ? null : this.#errorText();
    this.#move('idle');
    return { error };
  }

  /** Drops an answer that was not taken, of a stopped guest. @throws Error if a request is in progress. */
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
