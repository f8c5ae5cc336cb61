import { type JsonLimits, JsonSyntaxError, parseJson } from '../../text/json.ts';

/*
 * Decodes bytes of a QMP connection, in chunks of any length, into JSON values. Values may follow each other without a separator,
 * and one value may have many lines. Bytes between values are read as QEMU reads them: a byte that cannot begin or continue a value
 * is refused, and the bytes after it are skipped up to a bracket, a comma, a colon or a control character. The next value is
 * read again.
 */

/** Limits of one message. A longer message is the last that is decoded. Sizes in bytes. */
export type DecoderLimits = {
  readonly messageBytesMax: number;
  /** Arrays and objects inside each other. */
  readonly depthMax: number;
  /** Members and array elements of a message. */
  readonly valuesMax: number;
  /** Members of one object. */
  readonly membersMax: number;
};

/** A JSON value, or the reason why the bytes are not one. After `isLast` the decoder finds no more values. */
export type DecodedMessage =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly reason: string; readonly isLast: boolean };

/** The token that the next byte continues. */
const PLACE = { between: 0, structure: 1, string: 2, word: 3, skipped: 4 } as const;
type Place = (typeof PLACE)[keyof typeof PLACE];

const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;

/** Kinds of bytes outside of strings. */
const CLASS = { stray: 0, space: 1, word: 2, quote: 3, open: 4, close: 5, between: 6 } as const;
const CLASSES = classes();

function classes(): Uint8Array {
  const table = new Uint8Array(256);
  const set = (characters: string, value: number): void => {
    for (const character of characters) table[character.charCodeAt(0)] = value;
  };
  set(' \t\r\n', CLASS.space);
  set('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.', CLASS.word);
  set('"\'', CLASS.quote);
  set('{[', CLASS.open);
  set('}]', CLASS.close);
  set(',:', CLASS.between);
  return table;
}

/** Decodes the bytes of one connection. */
export class QmpDecoder {
  readonly #limits: DecoderLimits;
  readonly #json: JsonLimits;
  readonly #waiting: Uint8Array[] = [];
  readonly #held = new GrowingBuffer();
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Offset in the chunk at which the incomplete message begins; its bytes of earlier chunks are in `#held`. */
  #start = 0;
  #place: Place = PLACE.between;
  #quote = 0;
  #isEscaped = false;
  #braces = 0;
  #brackets = 0;
  #isEnded = false;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
    const { depthMax, valuesMax, membersMax } = limits;
    this.#json = { depthMax, valuesMax, membersMax, numberLengthMax: 64, readsStringsAsQemu: true };
  }

  /** Bytes of the incomplete message that are kept from earlier chunks. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /** Adds received bytes. The decoder keeps the array: the caller must not change it. */
  push(chunk: Uint8Array): void {
    this.#waiting.push(chunk);
  }

  /** The next value, or null if it is not complete. */
  next(): DecodedMessage | null {
    while (!this.#isEnded) {
      if (this.#at === this.#chunk.length && !this.#nextChunk()) return null;
      const message = this.#scan();
      if (message !== null) return message;
    }
    return null;
  }

  /** No more bytes follow. This completes a number or a word at the end, which has no closing character. */
  end(): void {
    this.push(Buffer.from('\n'));
  }

  /** Keeps the chunk's bytes of an incomplete message, and continues with the next chunk. @returns false if there is none */
  #nextChunk(): boolean {
    if (this.#isInMessage()) this.#held.append(this.#chunk.subarray(this.#start));
    this.#chunk = this.#waiting.shift() ?? new Uint8Array(0);
    this.#at = 0;
    this.#start = 0;
    return this.#chunk.length > 0 || this.#waiting.length > 0;
  }

  #isInMessage(): boolean {
    return this.#place !== PLACE.between && this.#place !== PLACE.skipped;
  }

  /** Reads up to the end of a message or of the chunk. */
  #scan(): DecodedMessage | null {
    const room = this.#limits.messageBytesMax - this.#held.length;
    while (this.#at < this.#chunk.length) {
      if (this.#isInMessage() && this.#at - this.#start >= room) return this.#tooLong();
      const byte = this.#chunk[this.#at] ?? 0;
      const message = this.#place === PLACE.string ? this.#inString(byte) : this.#outsideString(byte);
      if (message !== null) return message;
    }
    return null;
  }

  #inString(byte: number): DecodedMessage | null {
    this.#at += 1;
    if (byte < FIRST_PRINTABLE) return this.#refuse('a control character in a string');
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === this.#quote) {
      if (this.#depth() === 0) return this.#complete();
      this.#place = PLACE.structure;
    }
    return null;
  }

  #outsideString(byte: number): DecodedMessage | null {
    const kind = CLASSES[byte];
    if (this.#place === PLACE.skipped) {
      const isEnd = kind === CLASS.open || kind === CLASS.close || kind === CLASS.between;
      if (isEnd || (byte < FIRST_PRINTABLE && byte !== 0x09) || byte >= 0xfe) this.#place = PLACE.between;
      else this.#at += 1;
      if (isEnd) return null;
      // The control character that ends the skipped bytes is skipped, too.
      if (this.#place === PLACE.between) this.#at += 1;
      return null;
    }
    if (this.#place === PLACE.word && kind !== CLASS.word) return this.#complete();
    if (this.#place === PLACE.between && kind !== CLASS.space) this.#start = this.#at;
    this.#at += 1;
    switch (kind) {
      case CLASS.space:
        return null;
      case CLASS.word:
        if (this.#place === PLACE.between) this.#place = PLACE.word;
        return null;
      case CLASS.quote:
        this.#quote = byte;
        this.#place = PLACE.string;
        return null;
      case CLASS.between:
        return this.#place === PLACE.between ? this.#complete() : null;
      case CLASS.open:
      case CLASS.close:
        return this.#bracket(byte);
      default:
        return this.#refuse(`a stray byte 0x${byte.toString(16).padStart(2, '0')}`);
    }
  }

  #bracket(byte: number): DecodedMessage | null {
    this.#place = PLACE.structure;
    if (byte === 0x7b) this.#braces += 1;
    else if (byte === 0x7d) this.#braces -= 1;
    else if (byte === 0x5b) this.#brackets += 1;
    else this.#brackets -= 1;
    if (this.#braces < 0 || this.#brackets < 0 || this.#depth() === 0) return this.#complete();
    if (this.#depth() <= this.#limits.depthMax) return null;
    this.#begin(PLACE.between);
    return { kind: 'refused', reason: `nested deeper than ${this.#limits.depthMax} levels`, isLast: false };
  }

  #depth(): number {
    return this.#braces + this.#brackets;
  }

  /** Parses the message that ends before the current byte. */
  #complete(): DecodedMessage {
    const piece = this.#chunk.subarray(this.#start, this.#at);
    if (this.#held.length > 0) this.#held.append(piece);
    const bytes = this.#held.length > 0 ? this.#held.take() : piece;
    this.#begin(PLACE.between);
    return parse(bytes, this.#json);
  }

  #refuse(reason: string): DecodedMessage {
    this.#begin(PLACE.skipped);
    return { kind: 'refused', reason, isLast: false };
  }

  #tooLong(): DecodedMessage {
    this.#begin(PLACE.skipped);
    this.#isEnded = true;
    this.#chunk = new Uint8Array(0);
    this.#waiting.length = 0;
    return { kind: 'refused', reason: `a message of more than ${this.#limits.messageBytesMax} bytes`, isLast: true };
  }

  #begin(place: Place): void {
    this.#place = place;
    this.#isEscaped = false;
    this.#braces = 0;
    this.#brackets = 0;
    this.#held.clear();
  }
}

function parse(bytes: Uint8Array, limits: JsonLimits): DecodedMessage {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return { kind: 'value', value: parseJson(text, limits) };
  } catch (error) {
    const reason = error instanceof JsonSyntaxError ? error.message : 'not valid UTF-8';
    return { kind: 'refused', reason, isLast: false };
  }
}

/** Bytes of the buffer that are kept for the next message, at most. */
const KEPT_BYTES_MAX = 64 * 1024;
/** Bytes of the first allocation. */
const FIRST_BYTES = 4096;

/** Bytes of one message that arrives in pieces. The buffer doubles when it is full, so small pieces cost no repeated copies. */
class GrowingBuffer {
  #bytes = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(piece: Uint8Array): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, needed, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = needed;
  }

  /** All bytes, which are valid until the next `append`; the buffer is empty afterwards. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.clear();
    return taken;
  }

  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = Buffer.alloc(0);
  }
}
