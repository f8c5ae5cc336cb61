// kill -9 in the middle of work on snapshots; test/soak/snapshot-crash.test.ts does it 200 times.

import { test } from 'vitest';
import { crashSnapshots } from '../helpers/snapshots/crash.ts';

test('kill -9 in save, load, delete and a start leaves sound disks that agree, and no half-made snapshot', async () => {
  await crashSnapshots(3, 1, 0xc4a5);
});
