// kill -9 of a whole service at moments of a compaction; test/integration/snapshot-compact.test.ts does it at two moments.

import { expect, test } from 'vitest';
import { shared } from '../helpers/shared.ts';
import { killCompaction, makeLongImage } from '../helpers/snapshots/compaction.ts';

const ROUNDS = 30;

const longImage = shared(makeLongImage);

test(`kill -9 at ${ROUNDS} moments of a compaction leaves the image intact`, async () => {
  let killed = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    if (await killCompaction(longImage(), round / ROUNDS)) killed += 1;
  }
  expect(killed).toBeGreaterThan(ROUNDS / 2);
});
