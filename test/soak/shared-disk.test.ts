// The tests of test/issues/11-01-shared-disk.test.ts, fifty times with the same two services.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../block/images.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { type LocalService, localService } from '../helpers/guest-service.ts';
import { createImage } from '../helpers/snapshots/qemu-image.ts';

const LEGS = 50;
const ANY_PORT = 'tcp:127.0.0.1:0';
/** In every tenth leg the guest is saved and the snapshot deleted, so that the tables of the image change. */
const SNAPSHOT_EVERY = 10;

async function diskWrites(service: LocalService): Promise<number> {
  return (await service.get<{ 'disk-writes': number }>('/machine'))['disk-writes'];
}

test(`${LEGS} migrations in both directions on one image lose no write of the guest`, async () => {
  const path = join(temporaryDirectory(), 'shared.qcow2');
  createImage(path);
  const start = (...flags: readonly string[]) =>
    localService(['--blockdev', `disk0=${path}`, ...flags], { hasDisk: true });
  let [source, target] = [await start(), await start('--incoming', 'defer')];
  const downtimes: number[] = [];
  for (let leg = 1; leg <= LEGS; leg += 1) {
    const writes = await diskWrites(source);
    await expect.poll(() => diskWrites(source), { interval: 20 }).toBeGreaterThan(writes + 3);
    if (leg % SNAPSHOT_EVERY === 0) {
      const waits = { headers: { prefer: 'wait=60' } };
      const saved = await source.call('/snapshots', { body: { tag: `leg-${leg}` }, ...waits });
      expect(saved.json, saved.text).toMatchObject({ outcome: 'completed' });
      const deleted = await source.call(`/snapshots/leg-${leg}`, { method: 'DELETE', ...waits });
      expect(deleted.json, deleted.text).toMatchObject({ outcome: 'completed' });
    }
    if (leg % 2 === 0) await source.enable('return-path');
    await target.post('/migrate/incoming', { uri: ANY_PORT });
    const row = await source.migrate(await target.incomingUri());
    expect(row, JSON.stringify(row)).toMatchObject({ status: 'completed', error: null, guest: 'there' });
    await target.untilStatus('completed');
    expect([await source.runState(), await target.runState()]).toEqual(['postmigrate', 'running']);
    downtimes.push((await source.query()).downtime!);
    [source, target] = [target, source];
  }
  await source.expectRunning();
  expect((await source.call('/machine/console')).text).not.toContain('another one');
  for (const service of [source, target]) await service.app.close();
  expect((await run('qemu-img', 'check', '-f', 'qcow2', path)).output).toContain('No errors');
  downtimes.sort((a, b) => a - b);
  console.log(`downtime of ${LEGS} migrations: median ${downtimes[LEGS / 2]} ms, most ${downtimes.at(-1)} ms`);
});
