// kill -9 of a whole service at moments of a save that replaces a snapshot of two disks.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { spawnService } from '../helpers/guest-service.ts';
import { randomNumbers } from '../helpers/qcow2/damage.ts';
import { createImage, expectClean, tagsOf } from '../helpers/snapshots/qemu-image.ts';
import { Snapshots } from '../helpers/snapshots/snapshot-client.ts';

const ROUNDS = 12;
const TAG = 'warm';

test(`kill -9 at ${ROUNDS} moments of a replacing save leaves the old or the new snapshot on both disks`, async () => {
  const data = temporaryDirectory();
  const images = ['disk0', 'disk1'].map((name) => join(data, `${name}.qcow2`));
  for (const path of images) createImage(path);
  const nodes = images.flatMap((path, index) => ['--blockdev', `disk${index}=${path}`]);
  const flags = ['--ram', '32M', '--workload', 'rate=50M,span=16M,pattern=hot,fill=random', ...nodes];
  const random = randomNumbers(0xc4a7);
  let service = await spawnService(data, flags);
  let snapshots = new Snapshots(service);
  await snapshots.does('save', TAG);
  const from = performance.now();
  await snapshots.does('save', TAG, { replace: true });
  const usualMs = performance.now() - from;
  const seen = { old: 0, new: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = await dateOf();
    const id = await snapshots.start('save', TAG, { replace: true });
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, random() * usualMs * 1.2);
    await promise;
    await service.end('SIGKILL');
    service = await spawnService(data, flags);
    snapshots = new Snapshots(service);
    for (const path of images) expect(tagsOf(path), `round ${round}`).toEqual([TAG]);
    expect((await snapshots.job(id)).status).toBe('concluded');
    seen[(await dateOf()) === before ? 'old' : 'new'] += 1;
    await snapshots.does('verify', TAG);
  }
  console.log(`old: ${seen.old}, new: ${seen.new}`);
  expect(await service.end('SIGTERM')).toBe(0);
  expectClean(...images);

  async function dateOf(): Promise<unknown> {
    const { snapshots: list } = await service.get<{ snapshots: Record<string, unknown>[] }>('/snapshots');
    expect(list).toMatchObject([{ tag: TAG, consistent: true }]);
    return list[0]?.date;
  }
});
