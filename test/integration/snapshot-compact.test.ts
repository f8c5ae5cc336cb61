// An image grows with each snapshot and did not shrink when snapshots were deleted, because the newest data is at its
// end. Here a service reduces it to the length of its used clusters, while its guest writes to it.

import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { localService } from '../helpers/guest-service.ts';
import { shared } from '../helpers/shared.ts';
import { killCompaction, makeLongImage, serviceOn, startCompaction } from '../helpers/snapshots/compaction.ts';
import { createImage, expectClean, qemuTool } from '../helpers/snapshots/qemu-image.ts';
import { Snapshots } from '../helpers/snapshots/snapshot-client.ts';

const longImage = shared(makeLongImage);

test('a compaction during writes of the guest shortens the file, and the snapshot is unchanged', async () => {
  const { image, kept } = longImage();
  const { service, path } = await serviceOn(image);
  const snapshots = new Snapshots(service);
  const before = statSync(path).size;
  const job = await snapshots.ended(await startCompaction(service));
  expect(job).toMatchObject({ outcome: 'completed', type: 'snapshot-compact' });
  const [node] = (job.result as { nodes: Record<string, number>[] }).nodes;
  expect(node).toMatchObject({ name: 'disk0', 'file-size-before': before });
  expect(node?.['file-size']).toBeLessThan(before / 2);
  expect(statSync(path).size).toBeLessThan(before / 2);
  await service.expectRunning();
  expect(await snapshots.digests('kept')).toEqual(kept);
  await snapshots.does('load', 'kept');
  await service.expectRunning();
  await snapshots.does('save', 'new');
  expect(await service.end('SIGTERM')).toBe(0);
  expectClean(path);
});

test.each(combinations([0, 0.5], [0.5]))(
  'kill -9 at %d of the work leaves the image intact, and another compaction completes it',
  async (part) => {
    await killCompaction(longImage(), part);
  },
);

test('a read-only image is refused with the reason', async () => {
  const path = createImage(join(temporaryDirectory(), 'disk0.qcow2'));
  const old = join(temporaryDirectory(), 'old.qcow2');
  copyFileSync(path, old);
  qemuTool('qemu-img', 'amend', '-f', 'qcow2', '-o', 'compat=0.10', old);
  const flags = ['--blockdev', `disk0=${path}`, '--blockdev', `old=${old}`];
  const service = await localService(flags, { hasDisk: true });
  const reply = await service.call('/images/compact', { body: { devices: ['old'] } });
  expect(reply).toMatchObject({ status: 409, json: { code: 'node_read_only' } });
  expect(reply.text).toContain('version 2');
});
