// The guarantee of a flush during other requests.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createImage, openImageFile } from '../../../src/block/qcow2/open-image.ts';
import { randomNumbers } from '../../helpers/qcow2/damage.ts';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { UnsafeFile } from '../../helpers/qcow2/unsafe-file.ts';

const CLUSTER_BITS = 12;
const ROUNDS = 100;

test('a write in progress during one flush is stable after the next flush', async () => {
  const path = join(imageDirectory(), 'disk.qcow2');
  await createImage(path, { diskBytes: 2 ** 20, clusterBits: CLUSTER_BITS });
  const random = randomNumbers(7);
  const clock = { now: 0 };
  const file = new UnsafeFile(readFileSync(path), clock, random);
  const image = await openImageFile(file, { readOnly: false, identity: 'memory' });
  await image.write(0, Buffer.alloc(4096, 0xff));
  await image.flush();
  const lost: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    // A write in place, without a change of tables. The flush starts after the write has reached the file and before its end.
    const writing = image.write(0, Buffer.alloc(4096, round));
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([writing, image.flush()]);
    await image.flush();
    clock.now += 1;
    const left = file.after(clock.now, 'everything', random);
    if (!left.includes(Buffer.alloc(4096, round))) lost.push(round);
  }
  await image.close();
  expect(lost).toEqual([]);
});
