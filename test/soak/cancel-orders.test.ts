// Schedules that fast-check draws: it also decides what happens between promises, which the orders of
// test/domain/migration/cancel.test.ts do not.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ENDS, openRaces, type Play, STAGES } from '../helpers/cancel-orders.ts';

const RUNS = 20_000;

test(`two cancels and an end that race ${RUNS} times lead to one end each, which every caller gets`, async () => {
  const races = openRaces();
  const race = fc.asyncProperty(
    fc.scheduler(),
    fc.constantFrom(...STAGES),
    fc.constantFrom(...ENDS),
    async (scheduler, stage, wanted) => races.run(stage, wanted, drawnBy(scheduler)),
  );
  await fc.assert(race, { numRuns: RUNS });
  expect([...races.ends].sort()).toEqual(['cancelled', 'completed', 'failed']);
});

function drawnBy(scheduler: fc.Scheduler): Play {
  return async (steps, cancel) => {
    const worker = scheduler.scheduleSequence(
      steps.map(({ label, work }) => ({ label, builder: async () => work() })),
    ).task;
    const callers = ['first caller', 'second caller'].map((label) =>
      scheduler.schedule(Promise.resolve(), label).then(cancel),
    );
    await scheduler.waitFor(Promise.all([worker, ...callers]));
  };
}
