import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { AllocatedStretch, Image } from '../../../src/block/image.ts';
import { combinations } from '../../helpers/combinations.ts';
import { ImageMap, overwriteEntry } from '../../helpers/snapshots/qcow2-map.ts';
import { checked, MIB, newImage, opened, pattern, qemuImg, qemuIo, readAt, snapshotNamed } from '../images.ts';

async function clean(image: Image): Promise<void> {
  await image.flush();
  expect(await checked(image.path)).toBe('clean');
}

async function saved(image: Image, name: string, vmState: Buffer) {
  const writer = await image.beginVmState();
  for (let at = 0; at < vmState.length; at += MIB) await writer.append(vmState.subarray(at, at + MIB));
  return image.createSnapshot(snapshotNamed(name, { vmStateBytes: vmState.length }));
}

/** Many L2 tables of the smallest clusters, and some of the usual ones. */
const PART = MIB / 4;

test.each(combinations([9, 12, 16, 21], [9, 16]))(
  'snapshots keep disk and VM state, and qemu-img check has no errors after every step, with %i cluster bits',
  async (clusterBits) => {
    const image = await newImage({ clusterBits });
    const vmState = pattern(2 * PART + 5000, 4);
    await image.write(0, pattern(2 * PART, 1));
    const one = await saved(image, 'one', vmState);
    await clean(image);
    await image.write(PART, pattern(2 * PART, 2));
    await clean(image);
    const two = await image.createSnapshot(snapshotNamed('two'));
    await clean(image);
    // A part of a cluster is not discarded.
    await image.discard(0, Math.max(4 * PART, 2 ** clusterBits));
    await clean(image);
    const reader = await image.openSnapshot(one.id);
    const read = Buffer.alloc(vmState.length);
    await reader.readVmState(0, read);
    expect(read.equals(vmState)).toBe(true);
    await reader.readDisk(0, read);
    expect(read.subarray(0, 2 * PART).equals(pattern(2 * PART, 1))).toBe(true);
    await image.deleteSnapshot(one.id);
    await clean(image);
    await expect(reader.readDisk(0, read)).rejects.toMatchObject({ code: 'snapshot_not_found' });
    const other = await image.openSnapshot(two.id);
    await other.readDisk(PART, read);
    expect(read.subarray(0, 2 * PART).equals(pattern(2 * PART, 2))).toBe(true);
    expect((await readAt(image, 0, 3 * PART)).every((byte) => byte === 0)).toBe(true);
    await image.deleteSnapshot(two.id);
    await clean(image);
    expect(image.snapshots).toEqual([]);
  },
);

test('qemu-img lists a new snapshot, and applies it', async () => {
  const image = await newImage();
  await image.write(0, Buffer.alloc(MIB, 3));
  await saved(image, 'größer', pattern(5 * MIB, 9));
  await image.write(0, Buffer.alloc(MIB, 4));
  await image.close();
  const info = JSON.parse(await qemuImg('info', '-U', '--output=json', image.path));
  expect(info.snapshots).toMatchObject([
    {
      id: '1',
      name: 'größer',
      'vm-state-size': 5 * MIB,
      'date-sec': 1_700_000_000,
      'date-nsec': 123_456_000,
      'vm-clock-sec': 5,
    },
  ]);
  expect(await qemuImg('snapshot', '-l', image.path)).toMatch(/1 +größer +5 MiB/);
  await qemuImg('snapshot', '-a', 'größer', image.path);
  expect(await qemuIo(image.path, 'read -P 3 0 1M')).not.toContain('failed');
  const again = await opened(image.path);
  expect(again.repaired).toBe(null);
  expect(again.snapshots[0]).toMatchObject({ name: 'größer', dateMs: 1_700_000_000_123.456, icount: null });
});

test('snapshots of QEMU are read, applied and deleted, and data of other programs in the table is kept', async () => {
  const image = await newImage();
  await image.close();
  await qemuIo(image.path, 'write -P 1 0 3M');
  await qemuImg('snapshot', '-c', 'theirs', image.path);
  await qemuIo(image.path, 'write -P 2 1M 1M');
  const ours = await opened(image.path);
  expect(ours.snapshots).toMatchObject([{ id: '1', name: 'theirs', vmStateBytes: 0, diskBytes: 16 * MIB }]);
  await ours.createSnapshot(snapshotNamed('ours', { extra: Uint8Array.from([1, 2, 3, 4, 5]) }));
  const prepared = await ours.prepareApply('1');
  await prepared.commit();
  await prepared.release();
  expect((await readAt(ours, MIB, MIB)).every((byte) => byte === 1)).toBe(true);
  await clean(ours);
  await ours.deleteSnapshot('1');
  await clean(ours);
  expect(await ours.createSnapshot(snapshotNamed('next'))).toMatchObject({ id: '3' });
  await ours.close();
  const again = await opened(image.path);
  expect(again.snapshots.map(({ id, name, extra }) => [id, name, [...extra]])).toEqual([
    ['2', 'ours', [1, 2, 3, 4, 5]],
    ['3', 'next', []],
  ]);
});

test('a disk that was switched to a snapshot of another size has that size, and can be switched back', async () => {
  const image = await newImage();
  await image.write(0, Buffer.alloc(MIB, 1));
  await image.createSnapshot(snapshotNamed('small'));
  await image.close();
  await qemuImg('resize', image.path, '1G');
  await qemuIo(image.path, 'write -P 7 900M 1M');
  const grown = await opened(image.path);
  const prepared = await grown.prepareApply('1');
  await prepared.commit();
  expect(grown.diskBytes).toBe(16 * MIB);
  expect(await checked(image.path)).toBe('leaks');
  await prepared.revert();
  expect(grown.diskBytes).toBe(2 ** 30);
  expect((await readAt(grown, 900 * MIB, MIB)).every((byte) => byte === 7)).toBe(true);
  await clean(grown);
  const second = await grown.prepareApply('1');
  await second.commit();
  await second.release();
  await grown.write(0, Buffer.alloc(100, 2));
  await clean(grown);
  expect(JSON.parse(await qemuImg('info', '-U', '--output=json', image.path))['virtual-size']).toBe(16 * MIB);
});

test('a prepared and abandoned change leaves the image unchanged', async () => {
  const image = await newImage();
  await image.write(0, pattern(MIB, 1));
  await image.createSnapshot(snapshotNamed('one'));
  await image.write(0, pattern(MIB, 2));
  const prepared = await image.prepareApply('1');
  await image.write(MIB / 2, pattern(MIB, 3));
  await prepared.abandon();
  await clean(image);
  expect((await readAt(image, 0, MIB / 2)).equals(pattern(MIB, 2).subarray(0, MIB / 2))).toBe(true);
  await expect(prepared.commit()).rejects.toThrow('ended');
});

test('a deleted snapshot returns its space to the file system', async () => {
  const image = await newImage();
  await saved(image, 'state', pattern(8 * MIB, 1));
  await image.write(0, pattern(MIB, 2));
  await image.deleteSnapshot('1');
  await image.close();
  expect(JSON.parse(await qemuImg('info', '-U', '--output=json', image.path))['actual-size']).toBeLessThan(3 * MIB);
  expect(readFileSync(image.path).length).toBeLessThan(12 * MIB);
});

/** The file offset of a byte of the disk, and the table with its entry. */
function placeOnDisk(map: ImageMap, offset: number): { readonly data: number; readonly table: number } {
  const disk = { ...map.entry('one'), l1Offset: Number(map.bytes(40, 8).readBigUInt64BE()) };
  const slot = map.slots(disk, offset).l2!;
  return { data: map.fileOffset(disk, offset)!, table: slot - (slot % map.clusterBytes) };
}

test.each([
  [
    'the address of another of its clusters',
    (map: ImageMap, own: number) => map.fileOffset(map.entry('one'), own + 65_536)!,
  ],
  ['the address of a cluster of the disk', (map: ImageMap) => placeOnDisk(map, 2 * MIB).data],
  ['the address of a table of the disk', (map: ImageMap) => placeOnDisk(map, 2 * MIB).table],
  ['the address of the refcount table', (map: ImageMap) => Number(map.bytes(48, 8).readBigUInt64BE())],
])('a snapshot whose table was overwritten and has %s is not deleted, and no data is lost', async (_, victimOf) => {
  const image = await newImage();
  await image.write(0, pattern(MIB, 1));
  await saved(image, 'one', pattern(MIB, 2));
  await image.write(2 * MIB, pattern(MIB, 3));
  await image.flush();
  const map = new ImageMap(image.path);
  const own = map.vmStateStart(map.entry('one'));
  const undo = overwriteEntry(image.path, map.slots(map.entry('one'), own).l2!, BigInt(victimOf(map, own)));
  await expect(image.deleteSnapshot('1')).rejects.toMatchObject({ code: 'image_corrupt' });
  expect(image.snapshots.map(({ name }) => name)).toEqual(['one']);
  await image.write(4 * MIB, pattern(8 * MIB, 4));
  await image.flush();
  expect((await readAt(image, 0, MIB)).equals(pattern(MIB, 1))).toBe(true);
  expect((await readAt(image, 2 * MIB, MIB)).equals(pattern(MIB, 3))).toBe(true);
  await image.close();
  undo();
  const again = await opened(image.path);
  await again.deleteSnapshot('1');
  await clean(again);
});

test('a deletion reports progress in bytes of the tables that it reads and of the space that it frees', async () => {
  const image = await newImage({ clusterBits: 12 });
  await saved(image, 'state', pattern(8 * MIB, 1));
  const seen: { current: number; total: number }[] = [];
  const meter = { current: 0, total: image.tableBytesOf('1') };
  const tables = meter.total;
  const tell = () => seen.push({ ...meter });
  await image.deleteSnapshot('1', {
    addTotal: (bytes) => {
      meter.total += bytes;
      tell();
    },
    addCurrent: (bytes) => {
      meter.current += bytes;
      tell();
    },
  });
  expect(tables).toBeGreaterThan(0);
  expect(meter.total).toBeGreaterThanOrEqual(tables + 8 * MIB);
  expect(meter.current).toBe(meter.total);
  expect(new Set(seen.map(({ current }) => current)).size).toBeGreaterThan(3);
  for (const { current, total } of seen) expect(current).toBeLessThanOrEqual(total);
});

test('VM state omits zero clusters, is read as it was written, and can be rewritten', async () => {
  const image = await newImage();
  const content = Buffer.concat([pattern(100_000, 1), Buffer.alloc(2 * MIB), pattern(200_000, 2)]);
  const writer = await image.beginVmState();
  await Promise.all([writer.append(content.subarray(0, 70_000)), writer.append(content.subarray(70_000))]);
  expect(writer.position).toBe(content.length);
  const manifestAt = writer.align();
  expect(manifestAt % image.clusterBytes).toBe(0);
  await writer.append(Buffer.alloc(5000, 1));
  const { id } = await image.createSnapshot(snapshotNamed('one', { vmStateBytes: content.length }));
  const reader = await image.openSnapshot(id);
  const read = Buffer.alloc(content.length);
  await reader.readVmState(0, read);
  expect(read.equals(content)).toBe(true);
  expect(await reader.fileOffsetOfVmState(MIB)).toBe(null);
  const offset = (await reader.fileOffsetOfVmState(0)) ?? 0;
  expect(
    readFileSync(image.path)
      .subarray(offset, offset + 65_536)
      .equals(content.subarray(0, 65_536)),
  ).toBe(true);
  await reader.rewriteVmState(manifestAt, Buffer.from('the manifest'));
  await reader.readVmState(manifestAt, read.subarray(0, 14));
  expect(read.toString('latin1', 0, 14)).toBe('the manifest\x01\x01');
  await expect(reader.rewriteVmState(MIB, Buffer.alloc(1))).rejects.toMatchObject({ code: 'out_of_range' });
  await clean(image);
});

test('VM state that was discarded leaves the image unchanged', async () => {
  const image = await newImage();
  await image.flush();
  const before = readFileSync(image.path).length;
  const writer = await image.beginVmState();
  await writer.append(pattern(4 * MIB, 1));
  await image.write(0, Buffer.alloc(10, 1));
  await image.dropVmState();
  await expect(writer.append(Buffer.alloc(10))).rejects.toThrow('dropped');
  await clean(image);
  expect(readFileSync(image.path).length).toBeLessThanOrEqual(before + 3 * 65_536 + 4 * MIB);
  expect((await image.createSnapshot(snapshotNamed('one'))).vmStateBytes).toBe(0);
});

test('the allocated ranges of the disk of a snapshot are joined and in order', async () => {
  const image = await newImage();
  await image.write(0, pattern(200_000, 1));
  await image.write(5 * MIB, Buffer.alloc(1, 1));
  const { id } = await image.createSnapshot(snapshotNamed('one'));
  const stretches: AllocatedStretch[] = [];
  for await (const stretch of (await image.openSnapshot(id)).allocatedDisk()) stretches.push(stretch);
  expect(stretches).toEqual([
    { offset: 0, bytes: 4 * 65_536 },
    { offset: 5 * MIB, bytes: 65_536 },
  ]);
});
