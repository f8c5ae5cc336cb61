// Snapshots from QEMU to vmferry and back, in the same image file.

import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { testInSoak } from '../helpers/combinations.ts';
import { type Spawned, spawnService } from '../helpers/guest-service.ts';
import type { Qemu } from '../helpers/qemu/process.ts';
import { describeWithQemu, SMALL_GUEST_LAP_TICKS as LAP_TICKS, SMALL_GUEST } from '../helpers/qemu/qemu.ts';
import { continuousTicks, guestTicks } from '../helpers/qemu/serial.ts';
import { ImageMap } from '../helpers/snapshots/qcow2-map.ts';
import { createImage, expectClean, qemuTool, tagsOf } from '../helpers/snapshots/qemu-image.ts';
import { qemuSnapshot, quit, startQemuOn } from '../helpers/snapshots/qemu-machine.ts';
import { Snapshots } from '../helpers/snapshots/snapshot-client.ts';

const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'];
/** QEMU's own part of the extra data. */
const QEMU_EXTRA_BYTES = 24;

/** A directory with an empty image for both programs. */
function emptyImage(): { directory: string; image: string } {
  const directory = temporaryDirectory();
  return { directory, image: createImage(join(directory, 'guest.qcow2')) };
}

/** A service with --machine image on this image. */
function imageService(directory: string, image: string, flags: readonly string[] = []): Promise<Spawned> {
  return spawnService(directory, ['--machine', 'image', '--blockdev', `disk0=${image}`, ...flags]);
}

/** A paused machine of QEMU, loaded from its snapshot in `image`, which no other program has open. */
async function savedByQemu(image: string, tag = 'by-qemu'): Promise<{ memory: Buffer; serial: string }> {
  const qemu = await startQemuOn(image, SMALL_GUEST);
  await qemu.waitForTicks(LAP_TICKS + 10);
  await qemu.qmp.execute('stop');
  await qemuSnapshot(qemu, 'save', tag);
  const saved = { memory: await qemu.physicalMemory(), serial: qemu.serialText() };
  await quit(qemu);
  return saved;
}

/** Expects that the guest continues its output and detects no fault in its memory. */
async function expectGoesOn(qemu: Qemu, serialBefore: string): Promise<void> {
  await qemu.waitForTicks(LAP_TICKS + 10);
  const before = guestTicks(serialBefore).length;
  expect(continuousTicks(serialBefore, qemu.serialText())).toBeGreaterThan(before + LAP_TICKS);
}

describeWithQemu('an image that QEMU 10.0 and vmferry use alternately', () => {
  it('brings a machine that QEMU saved into vmferry, and from there into a new QEMU', async () => {
    const { directory, image } = emptyImage();
    const { memory, serial } = await savedByQemu(image);
    const targetImage = join(directory, 'target.qcow2');
    copyFileSync(image, targetImage);
    const service = await imageService(directory, image);
    const snapshots = new Snapshots(service);
    expect(await snapshots.tags()).toEqual(['by-qemu']);
    // A second program is refused, and tools can only read.
    await expect(startQemuOn(image, SMALL_GUEST)).rejects.toThrow(/lock/i);
    expect(() => qemuTool('qemu-img', 'snapshot', '-d', 'by-qemu', image)).toThrow(/lock/i);
    expectClean(image);
    await snapshots.does('verify', 'by-qemu', { vmstate: 'disk0', devices: ['disk0'] });
    await snapshots.does('load', 'by-qemu', { vmstate: 'disk0', devices: ['disk0'] });
    expectClean(image);
    const target = await startQemuOn(targetImage, { ...SMALL_GUEST, incoming: 'tcp:127.0.0.1:0' });
    const listening = (await target.qmp.query('query-migrate')) as { 'socket-address'?: { port: string }[] };
    const row = await service.migrate(`tcp:127.0.0.1:${listening['socket-address']?.[0]?.port}`);
    expect(row, JSON.stringify(row)).toMatchObject({ status: 'completed' });
    expect((await target.waitForMigrationEnd({ from: 0 })).status).toBe('completed');
    expect(await target.runState()).toBe('paused');
    expect((await target.physicalMemory()).equals(memory)).toBe(true);
    await target.qmp.execute('cont');
    await expectGoesOn(target, serial);
  });

  it('stores a machine that vmferry received from a running QEMU, for a QEMU with -loadvm', async () => {
    const { directory, image } = emptyImage();
    const sourceImage = createImage(join(directory, 'source.qcow2'));
    const source = await startQemuOn(sourceImage, SMALL_GUEST);
    const service = await imageService(directory, image, INCOMING);
    await source.waitForTicks(LAP_TICKS + 10);
    expect((await source.migrate(await service.incomingUri())).status).toBe('completed');
    expect((await service.ended()).status).toBe('completed');
    const snapshots = new Snapshots(service);
    await snapshots.does('save', 'by-vmferry');
    await snapshots.does('verify', 'by-vmferry');
    expectClean(image);
    expect(await service.end('SIGTERM')).toBe(0);
    expectClean(image);
    const target = await startQemuOn(image, {
      ...SMALL_GUEST,
      paused: true,
      extraArguments: ['-loadvm', 'by-vmferry'],
    });
    expect((await target.physicalMemory()).equals(await source.physicalMemory())).toBe(true);
    await target.qmp.execute('cont');
    await expectGoesOn(target, source.serialText());
  });

  testInSoak('is loaded and saved by QEMU after vmferry has saved, and by vmferry after that', async () => {
    const { directory, image } = emptyImage();
    const { serial } = await savedByQemu(image);
    const service = await imageService(directory, image);
    const snapshots = new Snapshots(service);
    await snapshots.does('load', 'by-qemu');
    for (const tag of ['ours-1', 'ours-2', 'ours-3']) await snapshots.does('save', tag);
    expect(tagsOf(image)).toEqual(['by-qemu', 'ours-1', 'ours-2', 'ours-3']);
    expect(await service.end('SIGTERM')).toBe(0);
    expectClean(image);
    const ours = ['ours-1', 'ours-3'].map((tag) => new ImageMap(image).entry(tag).extra);
    expect(ours.every(({ length }) => length > QEMU_EXTRA_BYTES)).toBe(true);

    // QEMU rewrites the table and keeps unknown data.
    const qemu = await startQemuOn(image, { ...SMALL_GUEST, extraArguments: ['-loadvm', 'ours-3'] });
    await expectGoesOn(qemu, serial);
    await expect(imageService(temporaryDirectory(), image)).rejects.toThrow(/another program|in use|lock/i);
    await qemuSnapshot(qemu, 'save', 'more-by-qemu');
    await qemuSnapshot(qemu, 'load', 'ours-1');
    await qemu.waitForTicks(10);
    await quit(qemu);
    expectClean(image);
    qemuTool('qemu-img', 'snapshot', '-d', 'ours-2', image);
    expectClean(image);
    expect(tagsOf(image)).toEqual(['by-qemu', 'ours-1', 'ours-3', 'more-by-qemu']);
    expect(['ours-1', 'ours-3'].map((tag) => new ImageMap(image).entry(tag).extra)).toEqual(ours);

    const again = await imageService(directory, image);
    const back = new Snapshots(again);
    for (const tag of ['ours-1', 'ours-3', 'more-by-qemu', 'by-qemu']) await back.does('verify', tag);
    for (const tag of ['more-by-qemu', 'ours-1']) await back.does('load', tag);
    for (const tag of ['by-qemu', 'ours-3', 'ours-1', 'more-by-qemu']) {
      await back.does('delete', tag);
      expectClean(image);
    }
    expect(await again.end('SIGTERM')).toBe(0);
    expect(tagsOf(image)).toEqual([]);
    expectClean(image);
  });
});
