// A running guest is saved, changed and loaded: memory, disk, run state and clock are restored.

import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { spawnService } from '../helpers/guest-service.ts';
import { makeImages, nodeFlags, snapshotBed } from '../helpers/snapshots/bed.ts';
import { expectClean } from '../helpers/snapshots/qemu-image.ts';
import { runRounds } from '../helpers/snapshots/rounds.ts';

const BUSY = ['--ram', '16M', '--workload', 'rate=200M,span=12M,pattern=hot'];

test('a busy guest with two disks and two vCPUs is restored completely, with clean images at each step', async () => {
  const data = temporaryDirectory();
  const images = makeImages(data, 1);
  const service = await spawnService(data, [...BUSY, '--vcpus', '2', ...nodeFlags(images)]);
  await service.expectRunning();
  await runRounds({ service, images, rounds: 1, comparesBytes: true });
  expect(await service.end('SIGTERM')).toBe(0);
  expectClean(...images);
});

test('a running guest continues from the snapshot, with a console without a gap', async () => {
  const { service, snapshots } = await snapshotBed();
  const ticks = async () => (await service.guest()).ticks;
  await expect.poll(ticks, { timeout: 20_000 }).toBeGreaterThan(1);
  await snapshots.does('save', 'early');
  const saved = await ticks();
  await expect.poll(ticks, { timeout: 20_000 }).toBeGreaterThan(saved + 2);
  const before = await ticks();
  await snapshots.does('load', 'early');
  expect(await service.runState()).toBe('running');
  expect(await ticks()).toBeLessThan(before);
  await service.expectRunning();
  const shown = await service.consoleTicks();
  expect(shown).toEqual(shown.map((_, index) => index + 1));
});
