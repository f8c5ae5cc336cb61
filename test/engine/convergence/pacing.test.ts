import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RateWindow, TokenBucket, WINDOW_MS } from '../../../src/engine/convergence/pacing.ts';

const UNLIMITED = Number.POSITIVE_INFINITY;
/** A batch and a burst, as pacing.ts has them: 5 ms and at most 512 KiB, then 50 ms. */
const slackOf = (rate: number) => Math.min(512 * 1024, rate * 0.005) + rate * 0.05;

describe('a token bucket', () => {
  test('never lets more pass than rate times time and one burst, with any pauses', () => {
    const rates = fc.integer({ min: 1000, max: 10_000_000_000 });
    const pauses = fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(rates, pauses, (rate, steps) => {
        const bucket = new TokenBucket(0);
        let [now, sent] = [0, 0];
        for (const pause of steps) {
          now += pause;
          const allowed = Math.max(0, bucket.refill(rate, now));
          bucket.take(allowed);
          sent += allowed;
          expect(sent).toBeLessThanOrEqual((rate * now) / 1000 + slackOf(rate) + 1);
        }
      }),
    );
  });

  test('reaches the rate if it is asked at the times that it returns', () => {
    const rate = 100_000_000;
    const bucket = new TokenBucket(0);
    let [now, sent] = [0, 0];
    while (now < 2000) {
      const allowed = bucket.refill(rate, now);
      if (allowed > 0) {
        bucket.take(allowed);
        sent += allowed;
      }
      now += Math.max(1, bucket.delayMs(rate));
    }
    expect(sent / (rate * 2)).toBeGreaterThan(0.99);
    expect(sent / (rate * 2)).toBeLessThanOrEqual(1.01);
  });

  test('compensates records that were larger than allowed', () => {
    const bucket = new TokenBucket(0);
    bucket.take(10_000);
    expect(bucket.refill(1000, 1000)).toBe(-9000);
    expect(bucket.delayMs(1000)).toBeGreaterThan(9000);
  });

  test('uses a new rate at once, and keeps no tokens of a time without limit', () => {
    const bucket = new TokenBucket(0);
    expect(bucket.refill(UNLIMITED, 1000)).toBe(UNLIMITED);
    bucket.take(1e12);
    expect(bucket.delayMs(UNLIMITED)).toBe(0);
    expect(bucket.refill(UNLIMITED, 1001)).toBe(UNLIMITED);
    expect(bucket.refill(1_000_000, 1011)).toBe(10_000);
    bucket.take(10_000);
    expect(bucket.refill(100_000, 1021)).toBe(1000);
  });
});

describe('a rate window', () => {
  test('has no figure in its first 100 ms, and then the rate of that time', () => {
    const window = new RateWindow(0);
    window.sent(1_000_000, 250);
    expect(window.close(WINDOW_MS - 1)).toBeNull();
    expect(window.close(200)).toEqual({ bandwidth: 5_000_000, mbps: 40, pagesPerSecond: 1250 });
    expect(window.bandwidth(210)).toBe(5_000_000);
  });

  test('excludes time without data to send', () => {
    const window = new RateWindow(0);
    window.sent(1_000_000, 250);
    window.idle(100);
    expect(window.close(200)?.bandwidth).toBe(10_000_000);
  });

  test('keeps its figure over a window with nearly no data', () => {
    const window = new RateWindow(0);
    window.sent(1_000_000, 250);
    window.close(100);
    window.sent(100, 0);
    expect(window.close(200)).toMatchObject({ bandwidth: 10_000_000, pagesPerSecond: 0 });
  });

  test('has no bandwidth while nearly no data has been sent', () => {
    const window = new RateWindow(0);
    window.sent(5000, 1);
    expect(window.bandwidth(50)).toBe(0);
    expect(window.close(150)?.bandwidth).toBe(0);
  });

  test('has an estimate during its first window', () => {
    const window = new RateWindow(0);
    window.sent(1_000_000, 250);
    expect(window.bandwidth(10)).toBe(100_000_000);
  });
});
