// Long random histories on an image of vmferry and on one of QEMU, for every kind of image and three cluster sizes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { carryOut, histories } from '../../helpers/qcow2/history.ts';
import { KINDS, SHAPES, startOf } from '../../helpers/qcow2/starts.ts';

const SEED = 0x10a9;
const RUNS = 25;
const STEPS_MAX = 80;
const SIZES = ['tiny', 'small', 'usual'] as const;

const CASES = SIZES.flatMap((size) => KINDS.map((kind) => ({ size, kind })));

test.each(CASES.map((of, index) => ({ ...of, seed: SEED + index })))(
  'disks of $size clusters, $kind, have the same results as QEMU through long histories',
  async ({ size, kind, seed }) => {
    const directory = imageDirectory();
    const shape = SHAPES[size];
    let [runs, steps] = [0, 0];
    const property = fc.asyncProperty(histories(shape, STEPS_MAX), async (history) => {
      runs += 1;
      steps += history.length;
      await carryOut(shape, await startOf(directory, String(runs), { shape, kind }), history);
    });
    await fc.assert(property, { seed, numRuns: RUNS });
    console.log(`${size}, ${kind}: ${runs} histories of ${steps} steps in all`);
    expect(steps).toBeGreaterThan(RUNS * 10);
  },
);
