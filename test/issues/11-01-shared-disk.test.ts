// A service kept the image locks after its guest had left, and a service that waited for a guest took them at its
// start. A guest whose disk is configured on both sides could therefore not be migrated. Now the images are active
// only at the side with the guest: a target opens them without the lock and takes it when the guest arrives. A source
// flushes and releases them at the switchover, and takes them back if the guest stays. The service reads tables again
// that the other side may have changed.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openImage } from '../../src/block/qcow2/open-image.ts';
import { run } from '../block/images.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { combinations, testInSoak } from '../helpers/combinations.ts';
import { type LocalService, localService } from '../helpers/guest-service.ts';
import { createImage } from '../helpers/snapshots/qemu-image.ts';

const DISK_WRITES = 3;

function newDisk(name = 'shared.qcow2'): string {
  const path = join(temporaryDirectory(), name);
  createImage(path);
  return path;
}

function withDisk(path: string, ...flags: readonly string[]): Promise<LocalService> {
  return localService(['--blockdev', `disk0=${path}`, ...flags], { hasDisk: true });
}

function waiting(path: string, ...flags: readonly string[]): Promise<LocalService> {
  return withDisk(path, '--incoming', 'tcp:127.0.0.1:0', ...flags);
}

async function diskWrites(service: LocalService): Promise<number> {
  return (await service.get<{ 'disk-writes': number }>('/machine'))['disk-writes'];
}

/** The guest runs, and has written to its disk once more since it was asked. */
async function expectWrites(service: LocalService): Promise<void> {
  await service.expectRunning();
  const writes = await diskWrites(service);
  await expect.poll(() => diskWrites(service), { interval: 20 }).toBeGreaterThan(writes + DISK_WRITES);
  expect(await service.guest()).toMatchObject({ panic: null });
}

async function withoutReturnPath(service: LocalService): Promise<void> {
  const body = { capabilities: [{ capability: 'return-path', state: false }] };
  expect((await service.call('/migrate/capabilities', { method: 'PATCH', body })).status).toBe(200);
}

async function expectLocked(path: string): Promise<void> {
  await expect(openImage(path)).rejects.toMatchObject({ code: 'image_locked' });
}

/** Another program that writes to the image until the test ends. */
async function heldByQemu(path: string): Promise<void> {
  const qemu: ChildProcess = spawn('qemu-io', ['-f', 'qcow2', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void qemu.kill('SIGKILL'));
  qemu.stdin?.write('length\n');
  await once(qemu.stdout!, 'data');
}

describe.each(combinations(['with', 'without'], ['without']))(
  'two services with one image, %s a return path',
  (kind) => {
    test('migrate the guest with its disk in both directions', async () => {
      const path = newDisk();
      let [source, target] = [await withDisk(path), await withDisk(path, '--incoming', 'defer')];
      for (let leg = 0; leg < 2; leg += 1) {
        await expectWrites(source);
        await expectLocked(path);
        await target.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
        if (kind === 'without') await withoutReturnPath(source);
        const guest = kind === 'with' ? 'there' : 'there, unconfirmed';
        expect(await source.migrate(await target.incomingUri())).toMatchObject({ status: 'completed', guest });
        await target.untilStatus('completed');
        expect([await source.runState(), await target.runState()]).toEqual(['postmigrate', 'running']);
        await expectWrites(target);
        // It is the same disk, and the guest has found on it all that it wrote.
        expect((await target.call('/machine/console')).text).not.toContain('another one');
        // A header that the other side has written is not treated as foreign.
        const body = { tag: 'both', replace: leg > 0 };
        const saved = await target.call('/snapshots', { body, headers: { prefer: 'wait=30' } });
        expect(saved.json, saved.text).toMatchObject({ outcome: 'completed' });
        const taken = await source.call('/cont', { method: 'POST' });
        expect([taken.status, taken.json.code]).toEqual([409, 'image_locked']);
        expect(await source.runState()).toBe('postmigrate');
        [source, target] = [target, source];
      }
      for (const service of [source, target]) await service.app.close();
      expect((await run('qemu-img', 'check', '-f', 'qcow2', path)).output).toContain('No errors');
    });
  },
);

test('a target that cannot lock the image refuses the guest, which keeps running with its disk at the source', async () => {
  const [path, other] = [newDisk(), newDisk('other.qcow2')];
  const source = await withDisk(path);
  const target = await waiting(path, '--blockdev', `disk1=${other}`);
  await heldByQemu(other);
  await expectWrites(source);
  const row = await source.migrate(await target.incomingUri());
  expect(row).toMatchObject({ status: 'failed', error: { code: 'target_refused' }, guest: 'here' });
  const there = await target.ended();
  expect(there).toMatchObject({ status: 'failed', error: { code: 'image_locked' }, guest: 'there' });
  expect(there.error?.desc).toMatch(/disk1.*other\.qcow2/);
  expect(await target.runState()).toBe('inmigrate');
  await expectWrites(source);
  await expectLocked(path);
});

test('a guest keeps its disk after a cancel before the switchover, and gets it back after a migration to a file', async () => {
  const path = newDisk();
  const source = await withDisk(path);
  await source.enable('pause-before-switchover');
  await source.start('file:one');
  await source.untilStatus('pre-switchover');
  await expectLocked(path);
  expect(await source.cancel()).toBe('cancelled');
  await expectWrites(source);

  await source.start('file:two');
  await source.untilStatus('pre-switchover');
  await source.post('/migrate/continue', { state: 'pre-switchover' });
  await source.untilStatus('completed');
  // Another side may have the image now, so its earlier content does not count.
  const image = await openImage(path);
  await image.close();
  await source.post('/cont');
  await expectWrites(source);
  await expectLocked(path);
});

test('the nodes of a service are inactive while its guest is elsewhere, and their snapshots cannot be used', async () => {
  const path = newDisk();
  const source = await withDisk(path);
  const saved = await source.call('/snapshots', { body: { tag: 'before' }, headers: { prefer: 'wait=30' } });
  expect(saved.status, saved.text).toBeLessThan(300);
  const target = await waiting(path);
  const refused = async (service: LocalService) => {
    const verify = await service.call('/snapshots/before/verify', { method: 'POST' });
    const remove = await service.call('/snapshots/before', { method: 'DELETE' });
    return [verify, remove].map(({ status, json }) => [status, json.code]);
  };
  expect(await refused(target)).toEqual([
    [409, 'node_inactive'],
    [409, 'machine_inmigrate'],
  ]);
  await source.migrate(await target.incomingUri());
  await target.untilStatus('completed');
  expect(await refused(source)).toEqual([
    [409, 'node_inactive'],
    [409, 'machine_postmigrate'],
  ]);
  // The side that has the guest has its snapshots.
  const verified = await target.call('/snapshots/before/verify', { method: 'POST', headers: { prefer: 'wait=30' } });
  expect(verified.json, verified.text).toMatchObject({ outcome: 'completed' });
});

test('late-block-activate keeps the disks of a guest that stays stopped inactive until cont', async () => {
  const path = newDisk();
  const source = await withDisk(path);
  const target = await waiting(path, '--paused', '--enable', 'late-block-activate');
  await expectWrites(source);
  await source.migrate(await target.incomingUri());
  await target.untilStatus('completed');
  expect(await target.runState()).toBe('paused');
  const save = await target.call('/snapshots', { body: { tag: 'late' } });
  expect([save.status, save.json.code]).toEqual([409, 'node_inactive']);
  // Neither side has the lock: the source may still take the guest back, and then the target cannot start it.
  await source.post('/cont');
  await expectWrites(source);
  const cont = await target.call('/cont', { method: 'POST' });
  expect([cont.status, cont.json.code, await target.runState()]).toEqual([409, 'image_locked', 'paused']);
  await source.app.close();
  await target.post('/cont');
  await expectLocked(path);
  expect(await target.runState()).not.toBe('paused');
});

testInSoak(
  'without late-block-activate the disks of a guest that stays stopped are activated at its arrival',
  async () => {
    const path = newDisk();
    const source = await withDisk(path);
    const target = await waiting(path, '--paused');
    await source.migrate(await target.incomingUri());
    await target.untilStatus('completed');
    expect(await target.runState()).toBe('paused');
    await expectLocked(path);
    await target.post('/cont');
    await expectWrites(target);
  },
);
