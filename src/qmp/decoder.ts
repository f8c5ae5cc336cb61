import { type JsonLimits, JsonSyntaxError, parseJson } from '../commands/json/parse.ts';
import { Collector } from './collector.ts';
import type { QmpLimits } from './limits.ts';

/*
 * Bytes of a client to JSON values, in whatever pieces they come: values joined or apart, on one line or on many.
 * What is outside a value is read as QEMU reads it. A byte that no value can have is refused, and everything behind it
 * is skipped up to a bracket, a comma, a colon or a control character: so a client that sends one gets back in step.
 */

/** A value, or why there is none. After `isLast` the bytes cannot be told apart any more. */
export type QmpInput =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly reason: string; readonly isLast: boolean };

/** What the next byte belongs to. */
const PLACE = { between: 0, structure: 1, string: 2, word: 3, skipped: 4 } as const;
type Place = (typeof PLACE)[keyof typeof PLACE];

const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;

/** What a byte may be outside of strings. */
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

export class Decoder {
  readonly #limits: QmpLimits;
  readonly #json: JsonLimits;
  readonly #waiting: Uint8Array[] = [];
  readonly #held = new Collector();
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Where the message under way begins in the chunk; what came before is held. */
  #start = 0;
  #place: Place = PLACE.between;
  #quote = 0;
  #isEscaped = false;
  #braces = 0;
  #brackets = 0;
  #isEnded = false;

  constructor(limits: QmpLimits) {
    this.#limits = limits;
    const { depthMax, valuesMax, membersMax } = limits;
    this.#json = { depthMax, valuesMax, membersMax, numberLengthMax: 64, readsStringsAsQemu: true };
  }

  /** Bytes of a message that is not complete. */
  get heldBytes(): number {
    return this.#held.length;
  }

  push(chunk: Uint8Array): void {
    this.#waiting.push(chunk);
  }

  /** The next of the client's values, or null if more bytes are needed. */
  next(): QmpInput | null {
    while (!this.#isEnded) {
      if (this.#at === this.#chunk.length && !this.#nextChunk()) return null;
      const input = this.#scan();
      if (input !== null) return input;
    }
    return null;
  }

  /** The client sends no more: a word that nothing ended is one now. */
  end(): void {
    this.push(Buffer.from('\n'));
  }

  /** Keeps what the chunk has of a message, and takes the next one. @returns false if there is none. */
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

  /** Reads on in the chunk up to the end of a message, or of the chunk. */
  #scan(): QmpInput | null {
    const room = this.#limits.messageBytesMax - this.#held.length;
    while (this.#at < this.#chunk.length) {
      if (this.#isInMessage() && this.#at - this.#start >= room) return this.#tooLong();
      const byte = this.#chunk[this.#at] ?? 0;
      const input = this.#place === PLACE.string ? this.#inString(byte) : this.#outsideString(byte);
      if (input !== null) return input;
    }
    return null;
  }

  #inString(byte: number): QmpInput | null {
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

  #outsideString(byte: number): QmpInput | null {
    const kind = CLASSES[byte];
    if (this.#place === PLACE.skipped) {
      const isEnd = kind === CLASS.open || kind === CLASS.close || kind === CLASS.between;
      if (isEnd || (byte < FIRST_PRINTABLE && byte !== 0x09) || byte >= 0xfe) this.#place = PLACE.between;
      else this.#at += 1;
      if (isEnd) return null;
      // A line's end and a byte that forces the client back in step are themselves used up by it.
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

  #bracket(byte: number): QmpInput | null {
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

  /** A message ends before the current byte. */
  #complete(): QmpInput {
    const piece = this.#chunk.subarray(this.#start, this.#at);
    if (this.#held.length > 0) this.#held.append(piece);
    const bytes = this.#held.length > 0 ? this.#held.take() : piece;
    this.#begin(PLACE.between);
    return parse(bytes, this.#json);
  }

  #refuse(reason: string): QmpInput {
    this.#begin(PLACE.skipped);
    return { kind: 'refused', reason, isLast: false };
  }

  #tooLong(): QmpInput {
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

function parse(bytes: Uint8Array, limits: JsonLimits): QmpInput {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return { kind: 'value', value: parseJson(text, limits) };
  } catch (error) {
    const reason = error instanceof JsonSyntaxError ? error.message : 'not valid UTF-8';
    return { kind: 'refused', reason, isLast: false };
  }
}
