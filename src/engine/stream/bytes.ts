import type { TransferCode } from '../session/transfer-messages.ts';

/** Thrown while an element is incomplete: the caller keeps the bytes and tries again when more have come. */
export class IncompleteError extends Error {
  constructor() {
    super('more bytes are needed');
    this.name = 'IncompleteError';
  }
}

/** An error in a stream. The message ends with the position in the stream once the reader has added it. */
export class StreamError extends Error {
  readonly code: TransferCode;
  /** Where the wrong element begins, in bytes from the start of the stream; null before the reader has added it. */
  readonly position: number | null;

  constructor(code: TransferCode, message: string, position: number | null = null) {
    super(position === null ? message : `${message} (at byte ${position} of the stream)`);
    this.name = 'StreamError';
    this.code = code;
    this.position = position;
  }

  /** The same error with `position`, or unchanged if it has a position. */
  at(position: number): StreamError {
    return this.position === null ? new StreamError(this.code, this.message, position) : this;
  }
}

/** Reads big-endian values from the bytes that have come. Every read throws IncompleteError if they are too few. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Position of the next byte, counted from the first byte given to the constructor. */
  position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.position;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  /** A count or an address, called `what` in the error. @throws StreamError above 2^53 - 1, which no real machine needs. */
  u64(what: string): number {
    const value = this.#view.getBigUint64(this.#take(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new StreamError('stream_value_out_of_range', `${what} is ${value}, above 2^53 - 1`);
    }
    return Number(value);
  }

  /** A text with its length in one byte before it. */
  str8(): string {
    return Buffer.from(this.bytes(this.u8())).toString('utf8');
  }

  /** A view of the next `count` bytes. */
  bytes(count: number): Uint8Array {
    const from = this.#take(count);
    return this.#bytes.subarray(from, from + count);
  }

  #take(count: number): number {
    const from = this.position;
    if (from + count > this.#bytes.length) throw new IncompleteError();
    this.position = from + count;
    return from;
  }
}

/** Writes big-endian values into a growing buffer. For the small parts of a stream, not for pages. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  u8(value: number): this {
    this.#reserve(1);
    this.#view.setUint8(this.#length, value);
    this.#length += 1;
    return this;
  }

  u16(value: number): this {
    this.#reserve(2);
    this.#view.setUint16(this.#length, value);
    this.#length += 2;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
    return this;
  }

  /** @throws RangeError unless `value` is an integer from 0 to 2^53 - 1. */
  u64(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no 64-bit count`);
    this.#reserve(8);
    this.#view.setBigUint64(this.#length, BigInt(value));
    this.#length += 8;
    return this;
  }

  /** A text of at most 255 bytes with its length in one byte before it. */
  str8(text: string): this {
    const bytes = Buffer.from(text, 'utf8');
    if (bytes.length > 255) throw new RangeError(`'${text}' is longer than 255 bytes`);
    return this.u8(bytes.length).bytes(bytes);
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** A copy of the bytes written so far. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
