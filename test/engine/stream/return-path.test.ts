import { describe, expect, it } from 'vitest';
import { decodeReverse, encodeReverse, type ReverseMessage } from '../../../src/engine/stream/return-path.ts';
import { readStreamFixture } from '../../helpers/qemu/fixtures.ts';
import { decodeAll, expectMoreWanted, hex, refusal } from './decoding.ts';

const VECTORS: readonly (readonly [ReverseMessage, string])[] = [
  [{ type: 'shut', value: 0 }, '0001 0004 00000000'],
  [{ type: 'shut', value: 1 }, '0001 0004 00000001'],
  [{ type: 'pong', value: 1 }, '0002 0004 00000001'],
  [{ type: 'switchover-ack' }, '0007 0000'],
];

describe('a message of the return path', () => {
  it.each(VECTORS)('%o has the bytes of the format', (message, bytes) => {
    expect(Buffer.from(encodeReverse(message)).equals(hex(bytes))).toBe(true);
    expect(decodeAll(hex(bytes), decodeReverse)).toEqual(message);
    expectMoreWanted(hex(bytes), decodeReverse);
  });

  it('is written as QEMU answered', () => {
    const written = [{ type: 'switchover-ack' }, { type: 'pong', value: 1 }, { type: 'shut', value: 0 }] as const;
    const recorded = readStreamFixture('pc-10.0-switchover-ack').returnPath;

    expect(recorded?.equals(Buffer.concat(written.map(encodeReverse)))).toBe(true);
  });

  it.each([
    '0000 0000',
    '0003 000d',
    '0004 000c',
    '0005 0001',
    '0006 0004',
    '0008 0000',
    'ffff ffff',
    '0001 0003',
    '0002 0200',
    '0007 0004',
  ])('that precopy does not have, or with another length, is refused: %s', (bytes) => {
    expect(refusal(hex(bytes), decodeReverse)).toBe('return_path_broken');
  });
});
