// All kinds of damage to an image, at three cluster sizes. test/block/adversary/hostile.test.ts tries a selection.

import { expect, test } from 'vitest';
import {
  backingDamages,
  bitFlips,
  compressedDamages,
  countDamages,
  extensionDamages,
  floodDamages,
  headerDamages,
  overlapDamages,
  snapshotDamages,
  tableDamages,
  truncations,
} from '../../helpers/qcow2/damage.ts';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { sampleImage } from '../../helpers/qcow2/draft.ts';
import { expectNoFaults, runTrials } from '../../helpers/qcow2/trial.ts';

const RSS_BYTES_MAX = 400 * 2 ** 20;
/** Damages without cut files, whose number depends on the length of the image, and without flipped bits. */
const DAMAGES_MIN = 1801;

// Images of large clusters are large, and each of them is written and read several times.
test.each([
  { bits: 9, flips: 3000 },
  { bits: 12, flips: 3000 },
  { bits: 16, flips: 300 },
])('images with clusters of 2^$bits bytes and any damage are refused or repaired', async ({ bits, flips }) => {
  const sample = sampleImage(bits);
  const damages = [
    ...headerDamages(),
    ...extensionDamages(),
    ...backingDamages('455.qcow2'),
    ...tableDamages(),
    ...floodDamages(),
    ...countDamages(),
    ...snapshotDamages(),
    ...overlapDamages(),
    ...compressedDamages(),
    ...truncations(sample.draft.end).slice(0, 300),
    ...bitFlips(flips, bits),
  ];
  expect(damages.length).toBeGreaterThan(DAMAGES_MIN + flips);
  const outcome = await runTrials({ directory: imageDirectory(), sample, rssBytesMax: RSS_BYTES_MAX }, damages);
  console.log(
    `${damages.length} images with clusters of 2^${bits} bytes, ${outcome.faults.length} faults: ${JSON.stringify(outcome.tally)}`,
  );
  expectNoFaults(outcome);
});
