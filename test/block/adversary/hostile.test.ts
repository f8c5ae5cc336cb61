// Hostile images: with any content, opening and reading them succeeds or is refused with a code, quickly and in
// bounded memory, and a refused image is unchanged.

import { expect, test } from 'vitest';
import {
  backingDamages,
  bitFlips,
  compressedDamages,
  countDamages,
  type Damage,
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
import { chosenDamages, expectNoFaults, runTrials } from '../../helpers/qcow2/trial.ts';

const SEED = 0x9c08;
/** test/soak/block/hostile.test.ts tries all there are. */
const PER_KIND = 4;
const RSS_BYTES_MAX = 400 * 2 ** 20;

/** Damage that caused a fault before. */
const HARMFUL = [
  'header: disk size is 0x0',
  'own L2 with its second entry: is 0x100000000000000',
  'active L1: is 0x8000000000000000',
  "snapshot's L1 beyond the disk: is 0x8000000000000000",
  'snapshot: disk size is 0x0',
  'snapshot: disk size is 0x1ffffffffffe00',
  'header: extension end of 2147483647 bytes',
  'snapshot row at 0: L1 entries is 0',
  'snapshot: a disk far larger than its L1 table',
];

function harmfulDamages(): Damage[] {
  const all = [...headerDamages(), ...extensionDamages(), ...tableDamages(), ...snapshotDamages()];
  const chosen = all.filter(({ name }) => HARMFUL.includes(name));
  expect(chosen.map(({ name }) => name).toSorted()).toEqual(HARMFUL.toSorted());
  return chosen;
}

/** Some of every kind, the same ones in each run. */
function sampledDamages(): Damage[] {
  const kinds = {
    header: [...headerDamages(), ...extensionDamages(), ...backingDamages('18.qcow2')],
    tables: [...tableDamages(), ...overlapDamages()],
    floods: floodDamages(),
    counts: countDamages(),
    snapshots: snapshotDamages(),
    compressed: compressedDamages(),
    cuts: truncations(sampleImage().draft.end),
  };
  const lists = Object.entries(kinds).map(([kind, all]) => {
    const chosen = chosenDamages(all, PER_KIND, SEED);
    expect(chosen.length, kind).toBeGreaterThan(2);
    return chosen;
  });
  return [...lists.flat(), ...bitFlips(PER_KIND, SEED)];
}

test.each([
  ['damages that caused faults before', harmfulDamages],
  ['images with every kind of damage', sampledDamages],
])('%s are refused with a code or repaired, and no data is lost', async (_, damages) => {
  const trials = { directory: imageDirectory(), sample: sampleImage(), rssBytesMax: RSS_BYTES_MAX };
  expectNoFaults(await runTrials(trials, damages()));
});
