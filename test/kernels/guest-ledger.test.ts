import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantiateKernels } from '../../src/engine/kernels/kernels.ts';

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const kernels = instantiateKernels(memory);
const ADDRESS = 65536;

describe('guest ledger kernels', () => {
  it('read back every sequence number below 2^53', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(511), (seq, word) => {
        kernels.guestLedgerStore(ADDRESS + word * 8, seq);
        expect(kernels.guestLedgerLoad(ADDRESS + word * 8)).toBe(seq);
        expect(new BigUint64Array(memory.buffer, ADDRESS, 512)[word]).toBe(BigInt(seq));
      }),
    );
  });

  it('sum every n-th word and no other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(2 ** 40), { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 8 }),
        (words, stride) => {
          new BigUint64Array(memory.buffer, ADDRESS, words.length).set(words.map(BigInt));
          const count = Math.ceil(words.length / stride);
          const expected = words.filter((_, index) => index % stride === 0).reduce((sum, word) => sum + word, 0);
          expect(kernels.guestLedgerSum(ADDRESS, stride, count)).toBe(expected);
        },
      ),
    );
  });

  it('set exactly one bit of the dirty log in little-endian order', () => {
    fc.assert(
      fc.property(fc.nat(65535), (page) => {
        const log = new Uint8Array(memory.buffer, ADDRESS, 8192);
        log.fill(0);
        kernels.guestMarkDirty(ADDRESS, page);
        expect(log[page >> 3]).toBe(1 << (page & 7));
        expect(log.reduce((sum, byte) => sum + byte, 0)).toBe(1 << (page & 7));
      }),
    );
  });

  it('find a byte other than zero at any position', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 64 }), fc.nat(1000), (eights, at) => {
        const bytes = eights * 8;
        const area = new Uint8Array(memory.buffer, ADDRESS + 64, 1024);
        area.fill(0);
        area[at] = 1;
        expect(kernels.guestIsZero(ADDRESS + 64, bytes)).toBe(at < bytes ? 0 : 1);
      }),
    );
  });
});
