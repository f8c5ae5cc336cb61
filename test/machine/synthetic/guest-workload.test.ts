import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pacer } from '../../../src/machine/synthetic/guest-workload.ts';

describe('a pacer', () => {
  it('returns the number of pages of its rate, for any steps of time', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 10, noNaN: true }), { minLength: 10, maxLength: 500 }),
        fc.double({ min: 0.2, max: 300, noNaN: true }),
        (steps, rate) => {
          const pacer = new Pacer();
          pacer.pagesPerMs = rate;
          let pages = 0;
          for (const step of steps) {
            const due = pacer.advance(step);
            pacer.done(due);
            pages += due;
          }
          const expected = rate * steps.reduce((sum, step) => sum + step, 0);
          expect(pages).toBeLessThanOrEqual(expected + 1e-6);
          expect(pages).toBeGreaterThan(expected - 1 - 1e-6);
        },
      ),
    );
  });

  it('compensates at most 20 ms of a stall', () => {
    const pacer = new Pacer();
    pacer.pagesPerMs = 10;
    expect(pacer.advance(5000)).toBe(200);
    pacer.done(200);
    expect(pacer.advance(1)).toBe(10);
  });

  it('loses no page of a rate with less than one page in 20 ms', () => {
    const pacer = new Pacer();
    pacer.pagesPerMs = 1 / 64;
    let pages = 0;
    for (let step = 0; step < 640; step += 1) {
      const due = pacer.advance(50);
      pacer.done(due);
      pages += due;
    }
    expect(pages).toBe(500);
  });

  it('computes the time of the next page', () => {
    const pacer = new Pacer();
    expect(pacer.untilDueMs).toBe(Number.POSITIVE_INFINITY);
    pacer.pagesPerMs = 0.5;
    expect(pacer.untilDueMs).toBe(2);
    pacer.advance(1);
    expect(pacer.untilDueMs).toBe(1);
    pacer.advance(5);
    expect(pacer.untilDueMs).toBe(0);
  });
});
