// kill -9 at every flush of an image and around every database transaction of each kind of work; a few of these points are in
// test/issues/11-faults-49-kill-points.test.ts.

import { expect, test } from 'vitest';
import { KillBed, type KilledWork } from '../helpers/kill-points/kill-at.ts';

/** More points than any kind of work has. */
const POINTS_MAX = 60;

/** Kills at the first point of this kind, then at the second, until the work has no more. @returns their number. */
async function killAtEach(work: KilledWork, kind: string): Promise<number> {
  const bed = await KillBed.make();
  for (let index = 1; index <= POINTS_MAX; index += 1) {
    if ((await bed.round(work, `${kind} ${index}`)) === 'survived') return index - 1;
  }
  throw new Error(`${work} has more than ${POINTS_MAX} points`);
}

test.each(['save', 'load', 'delete'] as const)(
  'kill -9 before each flush of a %s leaves sound images',
  async (work) => {
    const points = await killAtEach(work, 'flush');
    console.log(`${work}: killed at ${points} flushes`);
    expect(points).toBeGreaterThan(1);
  },
);

test.each(
  (['save', 'load', 'delete', 'parameters', 'migrate'] as const).flatMap((work) =>
    ['begin', 'commit', 'committed'].map((kind) => [work, kind] as const),
  ),
)('kill -9 of the work %s at the point %s of each transaction leaves a sound database', async (work, kind) => {
  const points = await killAtEach(work, kind);
  console.log(`${work}: killed at ${points} points '${kind}'`);
  expect(points).toBeGreaterThan(0);
});
