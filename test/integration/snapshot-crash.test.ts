// kill -9 in the middle of work on snapshots; test/soak/snapshot-crash.test.ts does it 200 times.

import { test } from 'vitest';
import { crashSnapshots } from '../helpers/snapshots/crash.ts';

test('kill -9 during save, load, delete and a start leaves intact, consistent disks and no partial snapshot', async () => {
  await crashSnapshots(3, 1, 0xc4a5);
});
