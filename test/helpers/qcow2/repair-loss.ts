// A power loss during the repair of an image: the remaining image can be repaired again and has its content.

import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { openImage, openImageFile } from '../../../src/block/qcow2/open-image.ts';
import { type Damage, randomNumbers } from './damage.ts';
import { type Sample, VM_STATE_BYTES } from './draft.ts';
import { CLEAN, check } from './tools.ts';
import { LOSSES, UnsafeFile } from './unsafe-file.ts';

/** @param path of a file to use. @returns how many images were tried. @throws AssertionError */
export async function losePowerInRepair(path: string, sample: Sample, damage: Damage): Promise<number> {
  const draft = sample.draft.copy();
  damage.spoil(draft, sample.places);
  const clock = { now: 0 };
  const random = randomNumbers(draft.end);
  const file = new UnsafeFile(draft.finish(), clock, random);
  const repaired = await openImageFile(file, { readOnly: false, identity: 'memory' });
  expect(repaired.repaired, damage.name).not.toBeNull();
  await repaired.close();
  let tried = 0;
  for (const moment of file.syncs) {
    for (const loss of LOSSES) {
      const what = `${damage.name}, ${loss} lost at ${moment}`;
      writeFileSync(path, file.after(moment, loss, random));
      const image = await openImage(path);
      try {
        expect(await check(path), what).toEqual(CLEAN);
        await expectContent(image, sample, what);
      } finally {
        await image.close();
      }
      tried += 1;
    }
  }
  return tried;
}

async function expectContent(
  image: Awaited<ReturnType<typeof openImage>>,
  sample: Sample,
  what: string,
): Promise<void> {
  const disk = Buffer.alloc(sample.diskBytes);
  await image.read(0, disk);
  expect(disk.equals(sample.disk), `the disk, ${what}`).toBe(true);
  for (const { id, vmStateBytes } of image.snapshots) {
    const reader = await image.openSnapshot(id);
    await reader.readDisk(0, disk);
    expect(disk.equals(sample.snapshotDisk), `snapshot ${id}, ${what}`).toBe(true);
    if (vmStateBytes !== VM_STATE_BYTES) continue;
    const state = Buffer.alloc(vmStateBytes);
    await reader.readVmState(0, state);
    expect(state.equals(sample.vmState), `VM state, ${what}`).toBe(true);
  }
}
