import { describe, expect, it } from 'vitest';
import type { ByteReader } from '../../../src/engine/stream/byte-reader.ts';
import { decodeCommand, encodeCommand, type StreamCommand } from '../../../src/engine/stream/stream-command.ts';
import { decodeAll, expectMoreWanted, hex, refusal } from './decoding.ts';

const VECTORS: readonly (readonly [StreamCommand, string])[] = [
  [{ name: 'open-return-path' }, '08 0001 0000'],
  [{ name: 'ping', value: 1 }, '08 0002 0004 00000001'],
  [{ name: 'switchover-start' }, '08 000b 0000'],
];
const NOT_DONE = [
  '0003 0010',
  '0004 0000',
  '0005 0000',
  '0006 0002',
  '0007 0004',
  '0008 0000',
  '0009 0000',
  '000a 0003',
];

function behindType(reader: ByteReader): StreamCommand {
  expect(reader.u8()).toBe(8);
  return decodeCommand(reader);
}

describe('a command', () => {
  it.each(VECTORS)('%o has the bytes that QEMU sends', (command, bytes) => {
    expect(Buffer.from(encodeCommand(command)).equals(hex(bytes))).toBe(true);
    expect(decodeAll(hex(bytes), behindType)).toEqual(command);
    expectMoreWanted(hex(bytes).subarray(1), decodeCommand);
  });

  it.each(NOT_DONE)('of postcopy or COLO is refused as not available: %s', (bytes) => {
    expect(refusal(hex(bytes), decodeCommand)).toBe('command_not_available');
  });

  it('that is unknown, or has a wrong length, is refused', () => {
    for (const bytes of ['0000 0000', '000c 0000', 'ffff 0000']) {
      expect(refusal(hex(bytes), decodeCommand)).toBe('command_unknown');
    }
    for (const bytes of ['0001 0001', '0002 0000', '0002 0005', '000b ffff']) {
      expect(refusal(hex(bytes), decodeCommand)).toBe('command_broken');
    }
  });
});
