// Many overlapping requests, with snapshots that are created, read, applied and deleted.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createImage } from '../../../src/block/qcow2/open-image.ts';
import { combinations } from '../../helpers/combinations.ts';
import { runCrowd } from '../../helpers/qcow2/crowd.ts';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { patterned } from '../../helpers/qcow2/history.ts';
import { qemuContent, qemuImg } from '../../helpers/qcow2/tools.ts';

const DISK_BYTES = 640 * 1024 + 1536;

const CLUSTERS = [
  { clusterBits: 9, seed: 1 },
  { clusterBits: 16, seed: 3 },
  { clusterBits: 12, seed: 2 },
];

test.each(combinations(CLUSTERS, CLUSTERS.slice(0, 2)))(
  '800 requests, 24 at once, have the result of a sequential order with clusters of 2^$clusterBits bytes',
  async (of) => {
    const path = join(imageDirectory(), 'disk.qcow2');
    await createImage(path, { diskBytes: DISK_BYTES, clusterBits: of.clusterBits });
    const first = Buffer.alloc(DISK_BYTES);
    const made = await runCrowd(path, { first, requests: 800, atOnce: 24, seed: of.seed });
    expect(Object.keys(made).toSorted()).toEqual([
      'apply',
      'delete',
      'discard',
      'flush',
      'read',
      'readSnapshot',
      'snapshot',
      'write',
    ]);
  },
);

test('800 concurrent requests on compressed clusters of a backing file have the result of some sequential order', async () => {
  const directory = imageDirectory();
  const raw = join(directory, 'raw');
  const base = join(directory, 'base.qcow2');
  const path = join(directory, 'disk.qcow2');
  writeFileSync(raw, patterned(300_032, 1));
  const [format, clusters] = [['-f', 'raw', '-O', 'qcow2'] as const, ['-o', 'cluster_size=4096'] as const];
  await qemuImg('convert', '-c', ...format, ...clusters, raw, base);
  await qemuImg('create', '-q', '-f', 'qcow2', ...clusters, '-b', base, '-F', 'qcow2', path, String(DISK_BYTES));
  const first = await qemuContent(path, [{ offset: 0, bytes: DISK_BYTES }]);
  expect(first.subarray(0, 300_032).equals(patterned(300_032, 1))).toBe(true);
  await runCrowd(path, { first, requests: 800, atOnce: 24, seed: 4 });
});
