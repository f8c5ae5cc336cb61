/*
 * Promise 49 of the faults: kill -9 at named points of a snapshot's save, load and delete, of a change of parameters and of the setup
 * of a migration. Only random kills met these points, so no run could say which. test/soak/kill-points.test.ts kills at every
 * flush and around every transaction.
 */
import { expect, test } from 'vitest';
import { KillBed, type KilledWork } from '../helpers/kill-points/kill-at.ts';

async function expectWholeAfter(points: readonly (readonly [KilledWork, string])[]): Promise<void> {
  const bed = await KillBed.make();
  for (const [work, point] of points) expect(await bed.round(work, point), `${work}, ${point}`).toBe('killed');
}

test('kill -9 in the flushes of a load and of a deletion leaves sound images and closed jobs', async () => {
  await expectWholeAfter([
    ['load', 'flush 5'],
    ['delete', 'flush 3'],
  ]);
});

test('kill -9 in a change of parameters and in the setup of a migration leaves parameters of one change and a closed row', async () => {
  await expectWholeAfter([
    ['parameters', 'commit 2'],
    ['migrate', 'committed 2'],
  ]);
});
