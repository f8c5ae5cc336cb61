import { describe, expect, it } from 'vitest';
import type { ByteReader } from '../../../src/engine/stream/bytes.ts';
import {
  decodeCommand,
  decodeFooter,
  decodeSectionHead,
  encodeCommand,
  encodeFooter,
  encodeSectionHead,
  encodeSectionPart,
  type StreamCommand,
} from '../../../src/engine/stream/stream-elements.ts';
import { decodeAll, expectMoreWanted, hex, refusal } from './decoding.ts';

const HEAD = { sectionId: 0x2a, idstr: 'cpu_common', instanceId: 1, versionId: 12 };
const BYTES = hex('0000002a 0a 6370755f636f6d6d6f6e 00000001 0000000c');

describe('a section', () => {
  it('begins with its id, its name, its instance and its version', () => {
    expect(Buffer.from(encodeSectionHead('full', HEAD)).equals(Buffer.concat([hex('04'), BYTES]))).toBe(true);
    expect(Buffer.from(encodeSectionHead('start', HEAD)).equals(Buffer.concat([hex('01'), BYTES]))).toBe(true);
    expect(decodeAll(BYTES, decodeSectionHead)).toEqual(HEAD);
    expectMoreWanted(BYTES, decodeSectionHead);
  });

  it('continues and ends with its id only', () => {
    expect(Buffer.from(encodeSectionPart('part', 2)).toString('hex')).toBe('0200000002');
    expect(Buffer.from(encodeSectionPart('end', 2)).toString('hex')).toBe('0300000002');
  });

  it('is closed by a footer with its own id and no other', () => {
    const footer = encodeFooter(HEAD.sectionId);
    const decode = (reader: Parameters<typeof decodeFooter>[0]) => decodeFooter(reader, HEAD);

    expect(Buffer.from(footer).toString('hex')).toBe('7e0000002a');
    decodeAll(footer, decode);
    expectMoreWanted(footer, decode);
    expect(refusal(hex('7e0000002b'), decode)).toBe('footer_wrong');
    expect(refusal(hex('04'), decode)).toBe('footer_missing');
  });
});

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
