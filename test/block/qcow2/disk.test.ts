import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createImage, openImage } from '../../../src/block/qcow2/open-image.ts';
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

describe('a new image', () => {
  test.each(combinations([9, 12, 16, 21], [9, 21]))(
    'with %i cluster bits has no errors in qemu-img check and the requested size',
    async (clusterBits) => {
      const path = join(temporaryFolder(), 'disk.qcow2');
      await createImage(path, { diskBytes: 3 * MIB, clusterBits });
      expect(await checked(path)).toBe('clean');
      const info = JSON.parse(await qemuImg('info', '--output=json', path));
      expect(info).toMatchObject({
        format: 'qcow2',
        'virtual-size': 3 * MIB,
        'cluster-size': 2 ** clusterBits,
        'format-specific': { data: { compat: '1.1', 'refcount-bits': 16, corrupt: false } },
      });
    },
  );

  test('never replaces an existing file', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'disk.qcow2');
    writeFileSync(path, 'precious');
    await expect(createImage(path, { diskBytes: MIB })).rejects.toMatchObject({ code: 'image_io_error' });
    await expect(openImage(path)).rejects.toMatchObject({ code: 'image_not_qcow2' });
  });

  test.each([0, -512, 1000, 1.5])('of %d bytes is refused', async (diskBytes) => {
    const path = join(temporaryFolder(), 'disk.qcow2');
    await expect(createImage(path, { diskBytes })).rejects.toMatchObject({ code: 'out_of_range' });
  });

  test('that needs a too large L1 table is refused', async () => {
    const path = join(temporaryFolder(), 'disk.qcow2');
    const tooLarge = createImage(path, { diskBytes: 2 ** 40, clusterBits: 9 });
    await expect(tooLarge).rejects.toMatchObject({ code: 'image_too_large' });
  });
});

describe('guest data', () => {
  test.each(combinations([9, 12, 16, 21], [9, 16]))(
    'is read by QEMU as it was written, with %i cluster bits',
    async (clusterBits) => {
      const image = await newImage({ clusterBits });
      const bytes = pattern(MIB + 77, clusterBits);
      await image.write(12_345, bytes);
      expect((await readAt(image, 12_345, bytes.length)).equals(bytes)).toBe(true);
      await image.close();
      expect(await checked(image.path)).toBe('clean');
      const raw = join(temporaryFolder(), 'raw');
      await qemuImg('convert', '-O', 'raw', image.path, raw);
      writeFileSync(`${raw}.expected`, Buffer.concat([Buffer.alloc(12_345), bytes, Buffer.alloc(15 * MIB - 12_422)]));
      expect(await qemuImg('compare', '-f', 'raw', '-F', 'raw', raw, `${raw}.expected`)).toContain('identical');
    },
  );

  test('of many concurrent overlapping requests equals that of sequential requests', async () => {
    const image = await newImage({ clusterBits: 12 });
    const expected = Buffer.alloc(256 * 1024);
    const requests: Promise<void>[] = [];
    for (let index = 0; index < 200; index += 1) {
      const offset = (index * 7919) % 200_000;
      const bytes = pattern(1 + ((index * 997) % 9000), index);
      bytes.copy(expected, offset);
      requests.push(image.write(offset, bytes));
    }
    await Promise.all(requests);
    expect((await readAt(image, 0, expected.length)).equals(expected)).toBe(true);
    await image.close();
    expect(await checked(image.path)).toBe('clean');
  });

  test('that was discarded reads as zeros, and its clusters are used again', async () => {
    const image = await newImage();
    await image.write(0, pattern(4 * MIB, 1));
    await image.flush();
    await image.discard(1000, 4 * MIB - 2000);
    await image.flush();
    const left = await readAt(image, 0, 4 * MIB);
    expect(left.subarray(0, 65_536).equals(pattern(4 * MIB, 1).subarray(0, 65_536))).toBe(true);
    expect(left.subarray(65_536, 4 * MIB - 65_536).every((byte) => byte === 0)).toBe(true);
    const end = JSON.parse(await qemuImg('check', '-U', '--output=json', image.path));
    await image.write(8 * MIB, pattern(3 * MIB, 2));
    await image.flush();
    const later = JSON.parse(await qemuImg('check', '-U', '--output=json', image.path));
    expect(later['image-end-offset']).toBeLessThanOrEqual(end['image-end-offset'] + 65_536);
  });

  test('outside the disk is refused', async () => {
    const image = await newImage();
    for (const [offset, bytes] of [
      [16 * MIB, 1],
      [16 * MIB - 1, 2],
      [-1, 1],
      [0.5, 1],
    ] as const) {
      await expect(image.read(offset, Buffer.alloc(bytes))).rejects.toMatchObject({ code: 'out_of_range' });
      await expect(image.write(offset, Buffer.alloc(bytes))).rejects.toMatchObject({ code: 'out_of_range' });
    }
  });

  test('written by QEMU is read, including zero clusters', async () => {
    const image = await newImage();
    await image.close();
    await qemuIo(image.path, 'write -P 17 0 1M', 'write -z 64k 64k', 'write -P 18 300k 10k', 'discard 512k 64k');
    const again = await opened(image.path);
    expect((await readAt(again, 0, 65_536)).every((byte) => byte === 17)).toBe(true);
    expect((await readAt(again, 65_536, 65_536)).every((byte) => byte === 0)).toBe(true);
    expect((await readAt(again, 300 * 1024, 10_240)).every((byte) => byte === 18)).toBe(true);
    await again.write(65_536 + 100, Buffer.from('partly'));
    expect((await readAt(again, 65_536, 106)).toString()).toBe(`${'\0'.repeat(100)}partly`);
    await again.close();
    expect(await checked(image.path)).toBe('clean');
  });

  test('of a version 2 image is read and never written', async () => {
    const path = join(temporaryFolder(), 'old.qcow2');
    await qemuImg('create', '-f', 'qcow2', '-o', 'compat=0.10', path, '4M');
    await qemuIo(path, 'write -P 9 0 1M');
    const image = await opened(path);
    expect(image.isReadOnly).toBe(true);
    expect((await readAt(image, 1000, 100)).every((byte) => byte === 9)).toBe(true);
    await expect(image.write(0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'image_read_only' });
    await expect(image.createSnapshot(snapshotNamed('one'))).rejects.toMatchObject({ code: 'image_read_only' });
  });
});

describe.each(['zlib', 'zstd'])('clusters compressed with %s', (compression) => {
  test('are read, and are overwritten by uncompressed ones', async () => {
    const folder = temporaryFolder();
    const raw = join(folder, 'raw');
    const content = Buffer.concat([Buffer.alloc(MIB, 'text that packs well '), pattern(MIB, 3), Buffer.alloc(MIB, 5)]);
    writeFileSync(raw, content);
    const path = join(folder, 'packed.qcow2');
    await qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', `compression_type=${compression}`, raw, path);
    const image = await opened(path);
    expect((await readAt(image, 0, content.length)).equals(content)).toBe(true);
    await image.createSnapshot(snapshotNamed('packed'));
    await image.write(100_000, pattern(300_000, 8));
    pattern(300_000, 8).copy(content, 100_000);
    expect((await readAt(image, 0, content.length)).equals(content)).toBe(true);
    await image.flush();
    expect(await checked(path)).toBe('clean');
    await image.deleteSnapshot('1');
    await image.close();
    expect(await checked(path)).toBe('clean');
  });
});

describe('a backing file', () => {
  async function chain(format: 'raw' | 'qcow2') {
    const folder = temporaryFolder();
    await qemuImg('create', '-f', format, join(folder, 'base'), '1M');
    await qemuIo(join(folder, 'base'), 'write -P 33 0 1M');
    const path = join(folder, 'top.qcow2');
    await qemuImg('create', '-f', 'qcow2', '-b', 'base', '-F', format, path, '2M');
    return { folder, path };
  }

  test.each(combinations(['raw', 'qcow2'], ['raw']))(
    'of format %s is read where the overlay has no data, and copied at a partial write of a cluster',
    async (format) => {
      const { folder, path } = await chain(format);
      const image = await opened(path);
      await image.write(70_000, Buffer.alloc(10, 1));
      await image.discard(0, 65_536);
      const content = await readAt(image, 0, 2 * MIB);
      const expected = Buffer.concat([Buffer.alloc(65_536), Buffer.alloc(MIB - 65_536, 33), Buffer.alloc(MIB)]);
      expected.fill(1, 70_000, 70_010);
      expect(content.equals(expected)).toBe(true);
      await image.close();
      expect(await checked(path)).toBe('clean');
      expect(await checkedContent(path)).toBe(true);
      expect((await qemuIo(join(folder, 'base'), 'read -P 33 0 1M')).includes('failed')).toBe(false);

      async function checkedContent(of: string): Promise<boolean> {
        const raw = join(folder, 'content');
        await qemuImg('convert', '-O', 'raw', of, raw);
        writeFileSync(`${raw}.expected`, expected);
        return (await qemuImg('compare', '-f', 'raw', '-F', 'raw', raw, `${raw}.expected`)).includes('identical');
      }
    },
  );

  test('that is the image itself or no file is refused', async () => {
    const { folder, path } = await chain('qcow2');
    await qemuImg('rebase', '-u', '-b', 'top.qcow2', '-F', 'qcow2', path);
    await expect(openImage(path)).rejects.toMatchObject({ code: 'image_corrupt' });
    await qemuImg('rebase', '-u', '-b', 'nbd://127.0.0.1/x', '-F', 'raw', path);
    await expect(openImage(path)).rejects.toMatchObject({ code: 'image_unsupported' });
    await qemuImg('rebase', '-u', '-b', join(folder, 'gone'), '-F', 'raw', path);
    await expect(openImage(path)).rejects.toMatchObject({ code: 'image_not_found' });
  });
});
