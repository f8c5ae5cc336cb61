// kill -9 at random moments of work on snapshots; test/soak/snapshot-crash.test.ts asks for longer.

import { test } from 'vitest';
import { crashSnapshots } from '../helpers/snapshots/crash.ts';

test('kill -9 in the middle of save, load and delete leaves sound images and no half-made snapshot', async () => {
  await crashSnapshots(5, 0);
});

test('kill -9 leaves three disks that agree with each other', async () => {
  await crashSnapshots(3, 2);
});
