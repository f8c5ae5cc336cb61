import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_BLOCK, PIECE_BYTES_MAX, StreamDigester } from '../../../src/engine/snapshot/worker/stream-pieces.ts';

/** Bytes that differ from place to place. */
function noise(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

describe('the digester of a stream', () => {
  test('ends a piece at every multiple of 64 KiB for any length of writes, and every piece has its CRC', () => {
    const stream = noise(3 * PIECE_BYTES_MAX + 777);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 20 }), (parts) => {
        const digester = new StreamDigester();
        let from = 0;
        for (const bytes of [...parts, stream.length]) {
          digester.add(stream.subarray(from, from + bytes));
          from = Math.min(stream.length, from + bytes);
        }
        const pieces = [...digester.finish()];
        expect(pieces.map(({ bytes }) => bytes)).toEqual([65536, 65536, 65536, 777]);
        for (const { position, bytes, crc, block } of pieces) {
          expect(crc).toBe(crc32(stream.subarray(position, position + bytes)));
          expect(block).toBe(NO_BLOCK);
        }
      }),
      { numRuns: 30, seed: 1 },
    );
  });

  test('ends a piece where another RAM block begins and where RAM ends', () => {
    const digester = new StreamDigester();
    digester.add(noise(50));
    digester.enterBlock(0, 0);
    digester.add(noise(1000));
    digester.enterBlock(0, 8192);
    digester.add(noise(500));
    digester.enterBlock(3, 4096);
    digester.add(noise(20));
    digester.leaveRam();
    digester.add(noise(7));
    expect(
      [...digester.finish()].map(({ position, bytes, block, offset }) => [position, bytes, block, offset]),
    ).toEqual([
      [0, 50, NO_BLOCK, 0],
      [50, 1500, 0, 0],
      [1550, 20, 3, 4096],
      [1570, 7, NO_BLOCK, 0],
    ]);
  });

  test('names the page of a record for a piece that begins within the record', () => {
    const digester = new StreamDigester();
    digester.enterBlock(0, 4096);
    digester.add(noise(PIECE_BYTES_MAX - 100));
    expect(digester.roomBytes).toBe(100);
    digester.enterBlock(0, 77 * 4096);
    digester.add(noise(4104));
    digester.enterBlock(0, 78 * 4096);
    digester.add(noise(4104));
    expect([...digester.finish()].map(({ bytes, offset }) => [bytes, offset])).toEqual([
      [PIECE_BYTES_MAX, 4096],
      [4004 + 4104, 77 * 4096],
    ]);
  });
});
