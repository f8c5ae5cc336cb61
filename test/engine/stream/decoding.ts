/* What every codec is asked: whole bytes give the value, too few ask for more, wrong ones have a code. */
import { expect } from 'vitest';
import { ByteReader, IncompleteError, StreamError } from '../../../src/engine/stream/bytes.ts';

/** Decodes all of `bytes`; bytes that are left over are a fault of the test. */
export function decodeAll<Value>(bytes: Uint8Array, decode: (reader: ByteReader) => Value): Value {
  const reader = new ByteReader(bytes);
  const value = decode(reader);
  expect(reader.left).toBe(0);
  return value;
}

/** Every proper beginning of `bytes`, from `from` bytes on, asks for more. */
export function expectMoreWanted(bytes: Uint8Array, decode: (reader: ByteReader) => unknown): void {
  for (let length = 0; length < bytes.length; length++) {
    expect(() => decode(new ByteReader(bytes.subarray(0, length))), `${length} bytes`).toThrow(IncompleteError);
  }
}

/** The code with which these bytes are refused. */
export function refusal(bytes: Uint8Array, decode: (reader: ByteReader) => unknown): string {
  try {
    decode(new ByteReader(bytes));
  } catch (error) {
    if (error instanceof StreamError) return error.code;
    throw error;
  }
  return 'accepted';
}

export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}
