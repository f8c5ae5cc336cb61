// A power loss at many moments of one run of overlapping requests, each time with another part of the unsynced data
// lost. The remaining image must have all confirmed data.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Image } from '../../../src/block/image.ts';
import { createImage, openImage, openImageFile } from '../../../src/block/qcow2/open-image.ts';
import { Crowd, type Mixture } from './crowd.ts';
import { randomNumbers } from './damage.ts';
import type { Clock } from './sector-log.ts';
import { CLEAN, check } from './tools.ts';
import { LOSSES, UnsafeFile } from './unsafe-file.ts';

/** Many snapshot operations, where the order of writes matters. */
const MIXTURE: Mixture = {
  discard: 0.15,
  read: 0.05,
  flush: 0.08,
  snapshot: 0.08,
  apply: 0.05,
  delete: 0.06,
  readSnapshot: 0.02,
};

export type PowerLossOptions = {
  readonly directory: string;
  readonly clusterBits: number;
  readonly diskBytes: number;
  readonly requests: number;
  readonly atOnce: number;
  readonly seed: number;
  readonly losses: number;
};

/** @returns how many of the images needed repair. @throws AssertionError */
export async function losePower(options: PowerLossOptions): Promise<{ repaired: number; snapshots: number }> {
  const { directory, diskBytes, clusterBits, seed } = options;
  const random = randomNumbers(seed);
  const empty = join(directory, `empty-${seed}.qcow2`);
  await createImage(empty, { diskBytes, clusterBits });
  const clock: Clock = { now: 0 };
  const file = new UnsafeFile(readFileSync(empty), clock, random);
  const image = await openImageFile(file, { readOnly: false, identity: 'memory' });
  const { requests, atOnce } = options;
  const crowd = new Crowd(image, { first: Buffer.alloc(diskBytes), requests, atOnce, seed, clock, mixture: MIXTURE });
  await crowd.run();
  await image.close();
  const result = { repaired: 0, snapshots: 0 };
  for (let number = 0; number < options.losses; number += 1) {
    const anyMoment = 1 + Math.floor(random() * clock.now);
    const moment = number % 3 === 0 ? anyMoment : file.syncs[Math.floor(random() * file.syncs.length)]!;
    const loss = LOSSES[Math.floor(random() * LOSSES.length)]!;
    const path = join(directory, `lost-${seed}.qcow2`);
    writeFileSync(path, file.after(moment, loss, random));
    const what = `${loss} lost at ${moment} of ${clock.now}, seed ${seed}, number ${number}`;
    const found = await check(path);
    expect({ ...found, leaks: 0 }, what).toEqual(CLEAN);
    const left = await openImage(path);
    result.repaired += Number(left.repaired !== null);
    try {
      // QEMU ignores counts after the end of the file.
      expect(left.repaired?.leakedClusters ?? 0, what).toBeGreaterThanOrEqual(found.leaks);
      if (left.repaired !== null) expect(await check(path), what).toEqual(CLEAN);
      await expectPromised(left, crowd, { moment, what });
      result.snapshots += left.snapshots.length;
    } finally {
      await left.close();
    }
  }
  return result;
}

async function expectPromised(left: Image, crowd: Crowd, of: { moment: number; what: string }): Promise<void> {
  const { log } = crowd;
  const disk = Buffer.alloc(left.diskBytes);
  await left.read(0, disk);
  const allowed = (sector: number) => log.allowedAfterLoss(sector, of.moment);
  expect(crowd.fault(disk, 0, allowed), `the disk, ${of.what}`).toBeNull();
  const names = left.snapshots.map(({ name }) => name);
  const [promised, possible] = [new Set<string>(), new Set<string>()];
  for (const { name, moment, taken, deleted } of crowd.snapshots) {
    if (taken < of.moment && deleted > of.moment) promised.add(name);
    if (moment < of.moment) possible.add(name);
  }
  expect(promised.difference(new Set(names)), of.what).toEqual(new Set());
  expect(new Set(names).difference(possible), of.what).toEqual(new Set());
  for (const { id, name, vmStateBytes } of left.snapshots) {
    const { moment, vmState } = crowd.snapshots.find((snapshot) => snapshot.name === name)!;
    const reader = await left.openSnapshot(id);
    await reader.readDisk(0, disk);
    const fault = crowd.fault(disk, 0, (sector) => log.allowedAt(sector, moment));
    expect(fault, `snapshot ${name}, ${of.what}`).toBeNull();
    const state = Buffer.alloc(vmStateBytes);
    await reader.readVmState(0, state);
    expect(state.equals(vmState), `VM state of ${name}, ${of.what}`).toBe(true);
  }
}
