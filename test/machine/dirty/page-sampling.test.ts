import { expect, test } from 'vitest';
import { timePassed } from '../../../src/machine/dirty/page-sampling.ts';

const NEVER = new AbortController().signal;

test('the wait continues for the remaining time if a timer fires too early', async () => {
  const clock = { nowMs: 0.9, slept: [] as number[] };
  const time = {
    now: () => clock.nowMs,
    sleep: async (ms: number) => {
      clock.slept.push(ms);
      clock.nowMs += ms - 0.6;
    },
  };
  expect(await timePassed(1000, NEVER, time)).toBeGreaterThanOrEqual(1000);
  expect(clock.slept).toEqual([1000, 1, 1]);
});

test('the wait can be cancelled', async () => {
  await expect(timePassed(60_000, AbortSignal.abort())).rejects.toThrow(/abort/);
});
