// A power loss at thousands of moments during overlapping requests.

import { expect, test } from 'vitest';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { losePower } from '../../helpers/qcow2/power-loss.ts';

const LOSSES = 50;

test.each([
  { bits: 9, runs: 40 },
  { bits: 12, runs: 40 },
  { bits: 16, runs: 8 },
])(
  'a power loss at 50 moments of $runs runs keeps all confirmed data with clusters of 2^$bits bytes',
  async ({ bits, runs }) => {
    const directory = imageDirectory();
    const total = { repaired: 0, snapshots: 0 };
    const size = {
      clusterBits: bits,
      diskBytes: (bits === 16 ? 20 : 100) * 2 ** bits + 512,
      requests: 300,
      losses: LOSSES,
    };
    for (let seed = 0; seed < runs; seed += 1) {
      const found = await losePower({ directory, ...size, atOnce: 1 + (seed % 12), seed: bits * 1000 + seed });
      total.repaired += found.repaired;
      total.snapshots += found.snapshots;
    }
    console.log(
      `clusters of 2^${bits} bytes: of ${runs * LOSSES} images ${total.repaired} were repaired, ${total.snapshots} snapshots read`,
    );
    expect(total.repaired).toBeGreaterThan(runs * LOSSES * 0.2);
    expect(total.snapshots).toBeGreaterThan(runs * LOSSES * 0.2);
  },
);
