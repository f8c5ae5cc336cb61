import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { initialRegisters, pickPage } from '../../../src/machine/synthetic/guest-workload.ts';

type Pattern = Parameters<typeof pickPage>[1];

function pick(pattern: Pattern, count: number, picks: number): number[] {
  const registers = initialRegisters(1, 0);
  return Array.from({ length: picks }, () => pickPage(registers, pattern, count));
}

describe('the page picker', () => {
  it('stays within the given pages', () => {
    const patterns = fc.constantFrom<Pattern>('hot', 'seq', 'random');
    fc.assert(
      fc.property(patterns, fc.integer({ min: 1, max: 2 ** 28 }), fc.nat(2 ** 32 - 1), (pattern, count, seed) => {
        const registers = { ...initialRegisters(seed, 3), cursor: seed };
        for (let step = 0; step < 20; step += 1) {
          const page = pickPage(registers, pattern, count);
          expect(Number.isInteger(page) && page >= 0 && page < count).toBe(true);
        }
      }),
    );
  });

  it('selects the pages in order and starts again, in pattern seq', () => {
    expect(pick('seq', 3, 7)).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  it('starts again after the number of pages was reduced', () => {
    const registers = { ...initialRegisters(1, 0), cursor: 7 };
    expect(pickPage(registers, 'seq', 5)).toBe(0);
  });

  it('gives seven of eight writes, and its share of the rest, to the first eighth in pattern hot', () => {
    const hot = pick('hot', 800, 20_000).filter((page) => page < 100).length / 20_000;
    expect(hot).toBeGreaterThan(7 / 8 + 1 / 64 - 0.02);
    expect(hot).toBeLessThan(7 / 8 + 1 / 64 + 0.02);
  });

  it('spreads evenly in pattern random', () => {
    const counts = new Array<number>(10).fill(0);
    for (const page of pick('random', 10, 20_000)) counts[page]! += 1;
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(300);
  });

  it('selects the same pages from the same registers', () => {
    expect(pick('random', 1000, 100)).toEqual(pick('random', 1000, 100));
    const other = initialRegisters(1, 1);
    expect(Array.from({ length: 100 }, () => pickPage(other, 'random', 1000))).not.toEqual(pick('random', 1000, 100));
  });
});
