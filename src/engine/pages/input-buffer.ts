import { STAGING_BYTES, WORK_AREA, type WorkArea } from '../memory/layout.ts';
import { KNOWN_DESCRIPTION_BYTES_MAX } from '../stream/constants.ts';

/** Bytes of one read, at most. */
const READ_BYTES_MAX = 1024 * 1024;
/** Size of the buffer, in bytes: the longest element must fit, with room for a read behind it. */
const WAITING_BYTES = 2 * READ_BYTES_MAX;

if (WAITING_BYTES > STAGING_BYTES) throw new RangeError('the input must fit the staging area');
if (KNOWN_DESCRIPTION_BYTES_MAX > READ_BYTES_MAX) {
  throw new RangeError('the longest element must leave room for a read behind it');
}

/** The waiting bytes of a stream: those that have come and were not taken. */
export interface StreamInput {
  /** The work area of the reading thread, in which the waiting bytes lie. */
  readonly area: WorkArea;
  /** Number of waiting bytes. */
  readonly length: number;
  /** Address of the first waiting byte in its segment. */
  readonly address: number;
  /** Bytes of the stream that were taken so far. */
  readonly takenBytes: number;
  /** The waiting bytes. */
  view(): Uint8Array<SharedArrayBuffer>;
  /** The first waiting 64-bit word (big-endian) as two halves; null if fewer bytes wait. */
  peekWord(): { readonly high: number; readonly low: number } | null;
  take(bytes: number): void;
  /** Moves to the staging area of another segment. */
  moveTo(segment: WebAssembly.Memory): void;
}

/**
 * The waiting bytes of a stream from a channel, in one piece. They lie in the staging area of a segment, where kernels can
 * read them; before there is guest memory, in memory of their own.
 */
export class InputBuffer implements StreamInput {
  readonly area = WORK_AREA.transfer;
  #bytes: Uint8Array<SharedArrayBuffer>;
  #base = 0;
  #start = 0;
  #end = 0;
  takenBytes = 0;

  /** @param first memory for the time before there is guest memory; it can be reused for further streams. */
  constructor(first: SharedArrayBuffer = InputBuffer.firstBytes()) {
    this.#bytes = new Uint8Array(first);
  }

  static firstBytes(): SharedArrayBuffer {
    return new SharedArrayBuffer(WAITING_BYTES);
  }

  get length(): number {
    return this.#end - this.#start;
  }

  get address(): number {
    return this.#base + this.#start;
  }

  view(): Uint8Array<SharedArrayBuffer> {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  peekWord(): { readonly high: number; readonly low: number } | null {
    if (this.length < 8) return null;
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#start, 8);
    return { high: view.getUint32(0), low: view.getUint32(4) };
  }

  take(bytes: number): void {
    this.#start += bytes;
    this.takenBytes += bytes;
  }

  /** The destination of the next read. Waiting bytes are moved to the front if there is little room behind them. */
  room(): Uint8Array<SharedArrayBuffer> {
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    } else if (this.#bytes.length - this.#end < READ_BYTES_MAX) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#bytes.subarray(this.#end, Math.min(this.#bytes.length, this.#end + READ_BYTES_MAX));
  }

  received(bytes: number): void {
    this.#end += bytes;
  }

  moveTo(segment: WebAssembly.Memory): void {
    const target = new Uint8Array(segment.buffer as SharedArrayBuffer, this.area.staging, STAGING_BYTES);
    target.set(this.view());
    this.#end = this.length;
    this.#start = 0;
    this.#bytes = target;
    this.#base = this.area.staging;
  }
}
