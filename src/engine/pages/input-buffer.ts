import { STAGING_ADDRESS, STAGING_BYTES } from '../memory/layout.ts';
import { KNOWN_DESCRIPTION_BYTES_MAX } from '../stream/constants.ts';

/** Bytes that one read may bring. */
const READ_BYTES_MAX = 1024 * 1024;
/** Bytes that may wait at least, at any time: the longest element has to fit. */
const WAITING_BYTES = 2 * READ_BYTES_MAX;

if (WAITING_BYTES > STAGING_BYTES) throw new RangeError('the input must fit the staging area');
if (KNOWN_DESCRIPTION_BYTES_MAX > READ_BYTES_MAX) {
  throw new RangeError('the longest element must leave room for a read behind it');
}

/** Bytes of a stream that came and were not taken yet, as the readers of its parts see them. */
export interface StreamInput {
  /** Bytes waiting. */
  readonly length: number;
  /** Address of the first waiting byte in its segment. */
  readonly address: number;
  /** Bytes of the stream that were taken so far. */
  readonly takenBytes: number;
  /** The waiting bytes. */
  view(): Uint8Array<SharedArrayBuffer>;
  /** The first waiting 64-bit word as two halves, or null if it is not there yet. */
  peekWord(): { readonly high: number; readonly low: number } | null;
  take(bytes: number): void;
  /** Moves to the staging area of another segment. */
  moveTo(segment: WebAssembly.Memory): void;
}

/**
 * What was received and not yet taken, in one piece. It lies in the staging area of a segment, so that kernels can
 * work on it; before there is guest memory it lies in memory of its own.
 */
export class InputBuffer implements StreamInput {
  #bytes: Uint8Array<SharedArrayBuffer>;
  #base = 0;
  #start = 0;
  #end = 0;
  takenBytes = 0;

  /** `first` is where bytes wait before there is guest memory; one that reads many short streams may use it again. */
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

  /** Where the next read goes. What waits is moved to the front if there is little room behind it. */
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
    const target = new Uint8Array(segment.buffer as SharedArrayBuffer, STAGING_ADDRESS, STAGING_BYTES);
    target.set(this.view());
    this.#end = this.length;
    this.#start = 0;
    this.#bytes = target;
    this.#base = STAGING_ADDRESS;
  }
}
