import { type ByteReader, ByteWriter, StreamError } from './bytes.ts';
import { REVERSE } from './constants.ts';

/*
 * Return path: messages from the target to the source in the reverse direction of the main channel.
 *
 *   u16 type, u16 length, length bytes
 *
 * SHUT u32 (0: fine) · PONG u32 · SWITCHOVER_ACK – · the other types are those of postcopy and are refused in precopy.
 */

export type ReverseMessage =
  | { readonly type: 'shut'; readonly value: number }
  | { readonly type: 'pong'; readonly value: number }
  | { readonly type: 'switchover-ack' };

const LENGTHS: Readonly<Record<number, number>> = { [REVERSE.shut]: 4, [REVERSE.pong]: 4, [REVERSE.switchoverAck]: 0 };

export function encodeReverse(message: ReverseMessage): Uint8Array {
  const writer = new ByteWriter();
  if (message.type === 'switchover-ack') return writer.u16(REVERSE.switchoverAck).u16(0).finish();
  const type = message.type === 'shut' ? REVERSE.shut : REVERSE.pong;
  return writer.u16(type).u16(4).u32(message.value).finish();
}

/** @throws StreamError for a type that precopy does not use, or a wrong length. */
export function decodeReverse(reader: ByteReader): ReverseMessage {
  const type = reader.u16();
  const length = reader.u16();
  const expected = LENGTHS[type];
  if (expected === undefined) {
    throw new StreamError('return_path_broken', `return path message type ${type} is not allowed in precopy`);
  }
  if (length !== expected) {
    throw new StreamError('return_path_broken', `return path message ${type} has ${length} bytes, not ${expected}`);
  }
  if (type === REVERSE.switchoverAck) return { type: 'switchover-ack' };
  const value = reader.u32();
  return type === REVERSE.shut ? { type: 'shut', value } : { type: 'pong', value };
}

/*
 * One id of a migration for the histories of both vmferrys. QEMU has no such id and must not be disturbed, so the id is
 * sent in pings, which every target with a return path answers and otherwise ignores: one with SHARED_ID_MARK, then four
 * with 32 bits of the id each, most significant first. A vmferry confirms the complete id with an additional pong,
 * SHARED_ID_KNOWN, which answers no ping and which QEMU never sends. QEMU's own pings have the values 1 to 4 and 0x42.
 * (ADR 0049)
 */

/** "vmfI". */
export const SHARED_ID_MARK = 0x766d_6649;
/** "vmfK". */
export const SHARED_ID_KNOWN = 0x766d_664b;

const WORDS = 4;
const WORD_DIGITS = 8;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Values of the pings that send an id in the text form of a uuid. @throws RangeError for another text. */
export function sharedIdPings(id: string): readonly number[] {
  if (!UUID.test(id)) throw new RangeError(`'${id}' is no uuid`);
  const digits = id.replaceAll('-', '');
  const word = (index: number) => Number.parseInt(digits.slice(index * WORD_DIGITS, (index + 1) * WORD_DIGITS), 16);
  return [SHARED_ID_MARK, ...Array.from({ length: WORDS }, (_, index) => word(index))];
}

/** Reads the id at the target from the values of all pings in their order. */
export class SharedIdReader {
  /** Null before the mark has come. */
  #words: number[] | null = null;

  /** @returns the id in the text form of a uuid for the ping that completes it; null for all others. */
  take(value: number): string | null {
    if (this.#words === null) {
      if (value === SHARED_ID_MARK) this.#words = [];
      return null;
    }
    if (this.#words.length === WORDS) return null;
    this.#words.push(value);
    if (this.#words.length < WORDS) return null;
    const digits = this.#words.map((word) => word.toString(16).padStart(WORD_DIGITS, '0')).join('');
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }
}
