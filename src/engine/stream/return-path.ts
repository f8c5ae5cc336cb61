import { type ByteReader, StreamError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { REVERSE } from './constants.ts';

/*
 * Return path: messages from the target to the source in the reverse direction of the main channel.
 *
 *   u16 type, u16 length, length bytes
 *
 * SHUT u32 (0: fine) · PONG u32 · SWITCHOVER_ACK – · the others belong to postcopy and are refused in precopy.
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

/** @throws StreamError on a type that precopy does not know or a length that does not fit it. */
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
