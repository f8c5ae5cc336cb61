import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import { RAM_ADDRESS } from '../../../src/engine/memory/layout.ts';
import { GuestMap } from '../../../src/machine/synthetic/guest-map.ts';

const MIB = 2 ** 20;

function mapOf(ramPages: number, vcpus: number, segmentPagesMax?: number): GuestMap {
  const segmentBytesMax = segmentPagesMax === undefined ? undefined : segmentPagesMax * 4096;
  return new GuestMap(createGuestMemory([{ name: 'ram', bytes: ramPages * 4096 }], segmentBytesMax), vcpus);
}

describe('the map of guest RAM', () => {
  it('assigns every data page to exactly one vCPU', () => {
    fc.assert(
      fc.property(fc.integer({ min: 80, max: 3000 }), fc.integer({ min: 1, max: 64 }), (pages, vcpus) => {
        const map = mapOf(pages, vcpus);
        const owned = Array.from({ length: vcpus }, (_, vcpu) => {
          return Array.from({ length: map.ownedPages(vcpu) }, (_, index) => {
            const page = map.ownedPage(vcpu, index);
            expect(map.ownerOf(page)).toBe(vcpu);
            return page;
          });
        });
        const all = owned.flat().sort((first, second) => first - second);
        expect(all).toEqual(Array.from({ length: map.dataPages }, (_, index) => map.firstDataPage + index));
        expect(map.firstDataPage + map.dataPages).toBe(map.pages);
      }),
      { numRuns: 30 },
    );
  });

  it('has one ledger entry for every page', () => {
    for (const pages of [80, 511, 512, 513, 1500]) {
      const map = mapOf(pages, 1);
      const words = Array.from({ length: pages }, (_, page) => map.ledgerAddressOf(page));
      expect(new Set(words).size).toBe(pages);
      expect(words[0]).toBe(RAM_ADDRESS + 4096);
      expect(words.at(-1)! + 8).toBeLessThanOrEqual(map.addressOf(map.firstDataPage));
      for (const [page, word] of words.entries()) {
        expect(map.ledgerPageOf(page)).toBe(Math.floor((word - RAM_ADDRESS) / 4096));
      }
    }
  });

  it('reports all of the ledger as unused except the entries of data pages', () => {
    const map = mapOf(1000, 1);
    const unused = map.unusedLedger().reduce((sum, { bytes }) => sum + bytes, 0);
    expect(unused).toBe(map.ledgerPages * 4096 - map.dataPages * 8);
  });

  it('finds pages in later segments', () => {
    const map = mapOf(1000, 1, 300);
    expect(map.place(299)).toEqual({ segment: 0, address: RAM_ADDRESS + 299 * 4096 });
    expect(map.place(300)).toEqual({ segment: 1, address: RAM_ADDRESS });
    expect(map.place(999)).toEqual({ segment: 3, address: RAM_ADDRESS + 99 * 4096 });
    expect(map.dirtyBitOf(999)).toBe(99);
  });

  it('refuses RAM without a page for each vCPU, and RAM whose ledger exceeds a segment', () => {
    expect(() => mapOf(4, 2)).toThrow(/16384 bytes of RAM are too few for 2 vCPUs: at least 20480/);
    expect(mapOf(5, 2).dataPages).toBe(2);
    expect(() => mapOf(8 * 512, 1, 4)).toThrow(/too many/);
  });

  it('limits a span to the data pages', () => {
    const map = mapOf(1000, 1);
    expect(map.spanPages(4 * MIB)).toBe(map.dataPages);
    expect(map.spanPages(8191)).toBe(1);
  });
});
