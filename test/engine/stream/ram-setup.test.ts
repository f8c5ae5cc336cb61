import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRamSetup, encodeRamSetup } from '../../../src/engine/stream/ram-setup.ts';
import { decodeAll, expectMoreWanted, hex, refusal } from './decoding.ts';
import { str8, u64 } from './stream-builder.ts';

const PAGE = 4096;

function setup(word: bigint, ...rest: readonly Buffer[]): Buffer {
  return Buffer.concat([u64(word), ...rest]);
}

function block(name: string, bytes: number | bigint): Buffer {
  return Buffer.concat([str8(name), u64(bytes)]);
}

describe('the list of RAM blocks', () => {
  it('has the bytes of the format', () => {
    const bytes = encodeRamSetup([{ name: 'pc.ram', bytes: 2 * PAGE }]);

    expect(Buffer.from(bytes).equals(hex('0000000000002004 06 70632e72616d 0000000000002000 0000000000000010'))).toBe(
      true,
    );
    expectMoreWanted(bytes, decodeRamSetup);
  });

  it('is read as it was written', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 2 ** 30 }), (list, pages) => {
        const blocks = list.map((name, index) => ({ name, bytes: (pages + index) * PAGE }));
        expect(decodeAll(encodeRamSetup(blocks), decodeRamSetup)).toEqual(blocks);
      }),
      { seed: 2 },
    );
  });

  it.each([
    ['ram_setup_broken', setup(4096n | 8n)],
    ['ram_setup_broken', setup(4n)],
    ['ram_setup_broken', setup(4096n | 4n, block('a', PAGE), u64(0x40))],
    ['capability_differs', setup(4096n | 4n, block('a', PAGE), u64(0x200))],
    ['ram_block_length', setup(8192n | 4n, block('a', 0))],
    ['ram_block_length', setup(8192n | 4n, block('a', 4097))],
    ['ram_block_length', setup(8192n | 4n, block('a', 3 * PAGE))],
    ['ram_block_duplicate', setup(8192n | 4n, block('a', PAGE), block('a', PAGE))],
    ['stream_value_out_of_range', setup((2n ** 63n) | 4n)],
    ['stream_value_out_of_range', setup(8192n | 4n, block('a', 2n ** 63n))],
  ])('is refused with %s', (code, bytes) => {
    expect(refusal(bytes, decodeRamSetup)).toBe(code);
  });
});
