// A power loss during overlapping requests, with any part of the unsynced data lost.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { combinations } from '../../helpers/combinations.ts';
import { countDamages } from '../../helpers/qcow2/damage.ts';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { sampleImage } from '../../helpers/qcow2/draft.ts';
import { losePower } from '../../helpers/qcow2/power-loss.ts';
import { losePowerInRepair } from '../../helpers/qcow2/repair-loss.ts';
import { chosenDamages } from '../../helpers/qcow2/trial.ts';

const SIZES = [
  { clusterBits: 12, seed: 12 },
  { clusterBits: 9, seed: 11 },
] as const;

test.each(combinations(SIZES, SIZES.slice(0, 1)))(
  'a power loss at 6 moments keeps all confirmed data with clusters of 2^$clusterBits bytes',
  async (of) => {
    const size = { diskBytes: 60 * 2 ** of.clusterBits + 512, requests: 140, atOnce: 6, losses: 6 };
    const found = await losePower({ directory: imageDirectory(), ...size, ...of });
    expect(found.repaired).toBeGreaterThan(1);
    expect(found.snapshots).toBeGreaterThan(1);
  },
);

test('a power loss during the repair of wrong counts leaves an image that can be repaired', async () => {
  const path = join(imageDirectory(), 'disk.qcow2');
  const damages = chosenDamages(countDamages(), 10, 5).filter(({ opens }) => opens === 'repaired');
  let tried = 0;
  for (const damage of damages) tried += await losePowerInRepair(path, sampleImage(), damage);
  expect(tried).toBeGreaterThan(10);
});
