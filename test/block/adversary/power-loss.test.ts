// Power lost in the midst of overlapping requests, with any part of what was not synced gone.

import { expect, test } from 'vitest';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { losePower } from '../../helpers/qcow2/power-loss.ts';

test.each([
  { clusterBits: 9, seed: 11 },
  { clusterBits: 12, seed: 12 },
])('power lost at 24 moments leaves clusters of 2^$clusterBits bytes with all that was promised', async (of) => {
  const size = { diskBytes: 60 * 2 ** of.clusterBits + 512, requests: 200, atOnce: 6, losses: 24 };
  const found = await losePower({ directory: imageDirectory(), ...size, ...of });
  expect(found.repaired).toBeGreaterThan(5);
  expect(found.snapshots).toBeGreaterThan(5);
});
