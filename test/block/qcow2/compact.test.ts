// Effects of a compaction: the file becomes as long as its used clusters, and its content is unchanged.

import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlockError, type CompactionPace, type Image } from '../../../src/block/image.ts';
import { openImageFile } from '../../../src/block/qcow2/open-image.ts';
import { combinations } from '../../helpers/combinations.ts';
import {
  checked,
  MIB,
  newImage,
  opened,
  pattern,
  qemuImg,
  qemuIo,
  readAt,
  snapshotNamed,
  temporaryFolder,
} from '../images.ts';
import { LoggedFile } from '../logged-file.ts';

const DISK_BYTES = 4 * MIB;
/** The allowed free space after a compaction: the image's own tables are rewritten next to the old ones. */
const SLACK_CLUSTERS = 40;

/** A compaction with a callback between its steps. */
function paced(between: (step: number) => unknown = () => {}): CompactionPace & { total: number; current: number } {
  let step = 0;
  return {
    total: 0,
    current: 0,
    addTotal(bytes) {
      this.total += bytes;
    },
    addCurrent(bytes) {
      this.current += bytes;
    },
    breathe: async () => {
      step += 1;
      await between(step);
    },
  };
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Digests of the disk, and of disk and VM state of each snapshot. */
async function contentOf(image: Image): Promise<Readonly<Record<string, string>>> {
  const content: Record<string, string> = { disk: digest(await readAt(image, 0, image.diskBytes)) };
  for (const { id, name, diskBytes, vmStateBytes } of image.snapshots) {
    const reader = await image.openSnapshot(id);
    const [disk, vmState] = [Buffer.alloc(diskBytes), Buffer.alloc(vmStateBytes)];
    await reader.readDisk(0, disk);
    await reader.readVmState(0, vmState);
    content[`snapshot ${name}`] = digest(Buffer.concat([disk, vmState]));
  }
  return content;
}

async function save(image: Image, name: string, vmState: Buffer): Promise<string> {
  await (await image.beginVmState()).append(vmState);
  return (await image.createSnapshot(snapshotNamed(name, { vmStateBytes: vmState.length }))).id;
}

/** An image that is much longer than its used clusters: a large snapshot before them was deleted. */
async function longImage(clusterBits: number): Promise<Image> {
  const image = await newImage({ diskBytes: DISK_BYTES, clusterBits });
  await image.write(0, pattern(MIB, 1));
  const old = await save(image, 'old', pattern(3 * MIB, 2));
  await image.write(MIB / 2, pattern(MIB, 3));
  await save(image, 'kept', pattern(MIB, 4));
  await image.write(3 * MIB, pattern(MIB / 2, 5));
  await image.flush();
  await image.deleteSnapshot(old);
  return image;
}

function sizesOf(path: string) {
  const { size, blocks } = statSync(path);
  return { fileBytes: size, allocatedBytes: blocks * 512 };
}

/** Expects that the file contains only used clusters, and that QEMU reports no error. */
async function expectCompact(image: Image, content: Readonly<Record<string, string>>): Promise<void> {
  expect(await contentOf(image)).toEqual(content);
  await image.close();
  expect(await checked(image.path)).toBe('clean');
  const again = await opened(image.path);
  expect(again.repaired).toBeNull();
  expect(await contentOf(again)).toEqual(content);
}

describe('an image', () => {
  test.each(combinations([9, 12, 16], [9, 16]))(
    'with %i cluster bits is about as long as its used clusters, and has the same content',
    async (clusterBits) => {
      const image = await longImage(clusterBits);
      const content = await contentOf(image);
      const pace = paced();
      const { before, after, movedBytes } = await image.compact(pace);
      expect(after).toEqual(sizesOf(image.path));
      expect(before.fileBytes - after.fileBytes).toBeGreaterThan(2 * MIB);
      expect(after.fileBytes - after.allocatedBytes).toBeLessThanOrEqual(SLACK_CLUSTERS * image.clusterBytes);
      expect(movedBytes).toBeGreaterThan(MIB / 2);
      expect(pace.current).toBe(pace.total);
      const once = await image.compact(paced());
      expect(once.after.fileBytes).toBeLessThanOrEqual(after.fileBytes);
      await expectCompact(image, content);
    },
  );

  test.each(combinations([9, 12, 16], [16]))(
    'with %i cluster bits can be written and read between the steps, and its snapshots can be read',
    async (clusterBits) => {
      const image = await longImage(clusterBits);
      const content = await contentOf(image);
      const reader = await image.openSnapshot(image.snapshots[0]!.id);
      const vmState = Buffer.alloc(MIB);
      const expected = await readAt(image, 0, DISK_BYTES);
      const pace = paced(async (step) => {
        if (step % 7 !== 0) return;
        const bytes = pattern(5000, step);
        const at = (step * 77_777) % (DISK_BYTES - bytes.length);
        bytes.copy(expected, at);
        await image.write(at, bytes);
        await reader.readVmState(0, vmState);
        expect(vmState.equals(pattern(MIB, 4))).toBe(true);
      });
      const { before, after } = await image.compact(pace);
      expect(after.fileBytes).toBeLessThan(before.fileBytes - MIB);
      await expectCompact(image, { ...content, disk: digest(expected) });
    },
  );
});

test('an interrupted compaction leaves a valid image, shortened by the completed steps', async () => {
  const image = await longImage(12);
  const content = await contentOf(image);
  const ends = paced((step) => {
    if (step > 6) throw new Error('enough');
  });
  const before = sizesOf(image.path).fileBytes;
  await expect(image.compact(ends)).rejects.toThrow('enough');
  const between = sizesOf(image.path).fileBytes;
  expect(between).toBeLessThanOrEqual(before);
  const { after } = await image.compact(paced());
  expect(after.fileBytes).toBeLessThan(before - 2 * MIB);
  await expectCompact(image, content);
});

test('clusters that another program has freed without a hole are returned to the file system', async () => {
  const path = join(temporaryFolder(), 'disk.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', path, String(DISK_BYTES));
  await qemuIo(path, 'write -P 1 0 2M');
  await qemuImg('snapshot', '-c', 'old', path);
  await qemuIo(path, 'write -P 2 0 2M', 'write -P 3 2M 1M');
  await qemuImg('snapshot', '-d', 'old', path);
  // A copy without holes.
  writeFileSync(path, readFileSync(path));
  const image = await opened(path);
  const content = await contentOf(image);
  const { before, after } = await image.compact(paced());
  expect(before.allocatedBytes - after.allocatedBytes).toBeGreaterThan(1.5 * MIB);
  expect(before.fileBytes - after.fileBytes).toBeGreaterThan(1.5 * MIB);
  await expectCompact(image, content);
});

test('tables that snapshots of QEMU share with the disk, and entries that QEMU wrote, are also moved', async () => {
  const path = join(temporaryFolder(), 'disk.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4096', path, String(DISK_BYTES));
  await qemuIo(path, 'write -P 9 0 2M');
  await qemuImg('snapshot', '-c', 'old', path);
  await qemuIo(path, 'write -P 2 0 2M', 'write -z 1M 64k');
  await qemuImg('snapshot', '-c', 'kept', path);
  await qemuImg('snapshot', '-c', 'kept too', path);
  await qemuIo(path, 'write -P 3 2M 512k');
  await qemuImg('snapshot', '-d', 'old', path);
  const listed = await qemuImg('snapshot', '-l', path);
  const image = await opened(path);
  const content = await contentOf(image);
  const { before, after } = await image.compact(paced());
  expect(before.fileBytes - after.fileBytes).toBeGreaterThan(1.5 * MIB);
  await expectCompact(image, content);
  expect(await qemuImg('snapshot', '-l', '-U', path)).toBe(listed);
});

test('compressed clusters are not moved, and the file ends after the last of them', async () => {
  const folder = temporaryFolder();
  const [raw, path] = [join(folder, 'raw'), join(folder, 'disk.qcow2')];
  await qemuImg('create', '-q', '-f', 'qcow2', raw, String(DISK_BYTES));
  await qemuIo(raw, 'write -P 7 0 1M');
  await qemuImg('convert', '-c', '-O', 'qcow2', raw, path);
  const image = await opened(path);
  await image.write(MIB, pattern(MIB, 1));
  await image.discard(MIB, MIB);
  await image.flush();
  const content = await contentOf(image);
  const { before, after } = await image.compact(paced());
  expect(after.fileBytes).toBeLessThanOrEqual(before.fileBytes);
  await expectCompact(image, content);
});

test('data of a backing file is not copied into the image', async () => {
  const folder = temporaryFolder();
  const [backing, path] = [join(folder, 'backing.qcow2'), join(folder, 'disk.qcow2')];
  await qemuImg('create', '-q', '-f', 'qcow2', backing, String(DISK_BYTES));
  await qemuIo(backing, 'write -P 7 0 4M');
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', backing, '-F', 'qcow2', path);
  const image = await opened(path);
  const old = await save(image, 'old', pattern(MIB, 2));
  await image.write(MIB, pattern(MIB / 2, 1));
  await image.discard(0, MIB / 4);
  await image.flush();
  await image.deleteSnapshot(old);
  const content = await contentOf(image);
  const { before, after } = await image.compact(paced());
  expect(before.fileBytes - after.fileBytes).toBeGreaterThan(MIB / 2);
  await expectCompact(image, content);
});

test.each(combinations([3, 23], [23]))(
  'a full disk in the middle of a step, at every %ith write, fails the compaction without loss of data',
  async (stride) => {
    const image = await longImage(12);
    const content = await contentOf(image);
    await image.close();
    for (let writes = 0; ; writes += stride) {
      const file = new LoggedFile(readFileSync(image.path));
      const full = await openImageFile(file, { readOnly: false, identity: 'full' });
      let left = writes;
      file.failing = (what) => {
        left -= what === 'write' ? 1 : 0;
        return left < 0 ? new BlockError('no_space', 'No space is left.') : null;
      };
      const outcome = await full.compact(paced()).then(
        () => 'done',
        ({ code }: BlockError) => code,
      );
      file.failing = null;
      expect(await contentOf(full)).toEqual(content);
      await full.close();
      const again = await openImageFile(new LoggedFile(file.content()), { readOnly: false, identity: 'again' });
      expect(again.repaired?.correctedEntries ?? 0).toBe(0);
      expect(await contentOf(again)).toEqual(content);
      if (outcome === 'done') break;
      expect(outcome).toBe('no_space');
    }
  },
);

test('an image that is open read-only is refused', async () => {
  const image = await newImage();
  await image.close();
  const readOnly = await opened(image.path, { readOnly: true });
  await expect(readOnly.compact(paced())).rejects.toMatchObject({ code: 'image_read_only' });
});
