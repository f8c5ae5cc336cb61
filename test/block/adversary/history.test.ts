// Random histories on an image of vmferry and on one of QEMU. The longer ones are in test/soak/block.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { carryOut, histories } from '../../helpers/qcow2/history.ts';
import { type Kind, SHAPES, startOf } from '../../helpers/qcow2/starts.ts';

const SEED = 0x51ed;
const RUNS = 1;
const STEPS_MAX = 24;

test.each<[keyof typeof SHAPES, Kind]>([
  ['tiny', 'qcow2 backing file'],
  ['small', 'compressed'],
  ['usual', 'empty'],
])('a disk of %s clusters, %s, has the same results as QEMU through the same history', async (size, kind) => {
  const directory = imageDirectory();
  const shape = SHAPES[size];
  let runs = 0;
  const property = fc.asyncProperty(histories(shape, STEPS_MAX), async (steps) => {
    runs += 1;
    await carryOut(shape, await startOf(directory, String(runs), { shape, kind }), steps);
  });
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
  expect(runs).toBeGreaterThanOrEqual(RUNS);
});
