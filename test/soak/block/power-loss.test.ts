// Power lost at thousands of moments, in the midst of overlapping requests.

import { expect, test } from 'vitest';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { losePower } from '../../helpers/qcow2/power-loss.ts';

const RUNS = 40;
const LOSSES = 50;

test.each([9, 12, 16])(
  'power lost at 2000 moments leaves clusters of 2^%d bytes with all that was promised',
  async (bits) => {
    const directory = imageDirectory();
    const total = { repaired: 0, snapshots: 0 };
    const size = {
      clusterBits: bits,
      diskBytes: (bits === 16 ? 20 : 100) * 2 ** bits + 512,
      requests: 300,
      losses: LOSSES,
    };
    for (let seed = 0; seed < RUNS; seed += 1) {
      const found = await losePower({ directory, ...size, atOnce: 1 + (seed % 12), seed: bits * 1000 + seed });
      total.repaired += found.repaired;
      total.snapshots += found.snapshots;
    }
    console.log(
      `clusters of 2^${bits} bytes: of ${RUNS * LOSSES} images ${total.repaired} were repaired, ${total.snapshots} snapshots read`,
    );
    expect(total.repaired).toBeGreaterThan(RUNS * LOSSES * 0.2);
    expect(total.snapshots).toBeGreaterThan(RUNS * LOSSES * 0.2);
  },
);
