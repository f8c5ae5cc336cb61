import { describe, expect, test } from 'vitest';
import { countedSince, DirtyMarker, DirtyTrace } from '../../../src/machine/synthetic/dirty-trace.ts';

const PAGES = 100;
const NONE = new Uint32Array(2);

function markers(ringEntries: number | null) {
  const trace = new DirtyTrace(2, PAGES);
  // The view of a vCPU: another object over the same memory.
  const seen = new DirtyTrace(2, PAGES, trace.buffer);
  const [first, second] = [0, 1].map((vcpu) => new DirtyMarker({ trace: seen, vcpu, ringEntries }));
  return { trace, first: first!, second: second! };
}

describe('a dirty trace', () => {
  test('counts nothing while it is off', () => {
    const { trace, first } = markers(null);
    first.mark(1);
    expect(countedSince(trace, NONE)).toEqual([0, 0]);
  });

  test('counts a page once, for the vCPU that dirtied it, until its next start', () => {
    const { trace, first, second } = markers(null);
    trace.start();
    for (const page of [0, 31, 32, 99, 31]) first.mark(page);
    for (const page of [31, 98]) second.mark(page);
    expect(countedSince(trace, NONE)).toEqual([4, 1]);
    const before = trace.counts();
    trace.start();
    for (const page of [31, 31, 5]) second.mark(page);
    expect(countedSince(trace, before)).toEqual([0, 2]);
    trace.stop();
    second.mark(6);
    expect(countedSince(trace, before)).toEqual([0, 2]);
  });

  test('cleans the pages of a ring that is full, or a second old', () => {
    const { trace, first } = markers(4);
    trace.start();
    first.advance(10_000, 1);
    for (let round = 0; round < 3; round += 1) for (const page of [1, 2, 3, 4]) first.mark(page);
    expect(countedSince(trace, NONE)).toEqual([12, 0]);
    for (const nowMs of [10_500, 10_999]) {
      first.mark(7);
      first.advance(nowMs, 1);
    }
    expect(countedSince(trace, NONE)).toEqual([13, 0]);
    first.advance(11_000, 1);
    first.mark(7);
    expect(countedSince(trace, NONE)).toEqual([14, 0]);
  });

  test('does not clean new dirty pages for ring entries from before a start', () => {
    const { trace, first } = markers(4);
    trace.start();
    first.mark(1);
    trace.start();
    const before = trace.counts();
    for (const page of [1, 1, 2, 3, 1]) first.mark(page);
    expect(countedSince(trace, before)).toEqual([3, 0]);
  });

  test('has correct differences of counts beyond 32 bits', () => {
    const trace = new DirtyTrace(1, PAGES);
    const before = Uint32Array.of(2 ** 32 - 1);
    trace.count(0);
    expect(countedSince(trace, before)).toEqual([2]);
  });
});

describe('a limited vCPU', () => {
  /** Dirties as much as the limit allows, in slices of about 2 ms. @returns the number of pages. */
  function run(marker: DirtyMarker, milliseconds: number): number {
    let marked = 0;
    for (let nowMs = 0; nowMs < milliseconds; nowMs += 2) {
      marker.advance(nowMs, 2);
      for (let batch = 0; batch < 50 && !marker.isAtLimit; batch += 1) {
        for (let page = 0; page < 16; page += 1, marked += 1) marker.mark(marked % PAGES);
      }
    }
    return marked;
  }

  test('dirties pages at its limit, and another vCPU without a limit', () => {
    const { trace, first, second } = markers(1);
    trace.start();
    trace.setLimit(0, 50);
    const expected = (50 * 2 ** 20) / 4096;
    expect(Math.abs(run(first, 1000) - expected)).toBeLessThan(expected / 100);
    expect(run(second, 100)).toBe(50 * 50 * 16);
    trace.setLimit(0, 0);
    expect(run(first, 100)).toBe(50 * 50 * 16);
    expect(first.untilDueMs).toBe(0);
  });

  test('writes dirty pages again without a limit', () => {
    const { trace, first } = markers(1024);
    trace.start();
    trace.setLimit(0, 1);
    first.advance(5000, 20);
    for (let round = 0; round < 1000; round += 1) first.mark(1);
    expect(countedSince(trace, NONE)).toEqual([1, 0]);
    expect(first.isAtLimit).toBe(false);
  });

  test('knows how long it has to wait', () => {
    const { trace, first } = markers(1);
    trace.start();
    trace.setLimit(0, 1);
    first.advance(5000, 1000);
    while (!first.isAtLimit) first.mark(1);
    expect(first.untilDueMs).toBeGreaterThan(0);
    first.advance(5001, first.untilDueMs);
    expect(first.isAtLimit).toBe(false);
  });
});
