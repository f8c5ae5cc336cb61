import { expect, test } from 'vitest';
import { timePassed } from '../../../src/machine/dirty/time-passed.ts';

const NEVER = new AbortController().signal;

test('where a timer fires too early the rest is waited for, so that a second is never told to be none', async () => {
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

test('it can be called off', async () => {
  await expect(timePassed(60_000, AbortSignal.abort())).rejects.toThrow(/abort/);
});
