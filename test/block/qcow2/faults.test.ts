// Images that are not as they have to be, and storage that fails.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlockError, type Image } from '../../../src/block/image.ts';
import { createImage, openImage, openImageFile } from '../../../src/block/qcow2/open-image.ts';
import { combinations } from '../../helpers/combinations.ts';
import {
  checked,
  MIB,
  opened,
  pattern,
  qemuImg,
  qemuIo,
  readAt,
  run,
  snapshotNamed,
  temporaryFolder,
} from '../images.ts';
import { LoggedFile } from '../logged-file.ts';

/** Images by their options: created once, and copied for each test. */
const made = new Map<string, Buffer>();

/** An image of QEMU with a snapshot and data of its own. */
async function imageFile(...options: string[]): Promise<string> {
  const path = join(temporaryFolder(), 'disk.qcow2');
  const bytes = made.get(options.join()) ?? (await makeImage(path, options));
  made.set(options.join(), bytes);
  writeFileSync(path, bytes);
  return path;
}

async function makeImage(path: string, options: readonly string[]): Promise<Buffer> {
  await qemuImg('create', '-f', 'qcow2', ...options, path, '8M');
  await qemuIo(path, 'write -P 1 0 2M');
  await qemuImg('snapshot', '-c', 'one', path);
  await qemuIo(path, 'write -P 2 1M 2M');
  return readFileSync(path);
}

function change(path: string, edit: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  edit(bytes);
  writeFileSync(path, bytes);
}

const countsAt = (bytes: Buffer) => Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
const l1At = (bytes: Buffer) => Number(bytes.readBigUInt64BE(40));
const l2At = (bytes: Buffer) => Number(bytes.readBigUInt64BE(l1At(bytes)) & 0xff_ffff_ffff_fe00n);

describe('opening an image for writing repairs', () => {
  test.each(combinations(['16', '1', '8', '64'], ['16', '1']))(
    'counts of %s bits that are too high or too low',
    async (bits) => {
      const path = join(temporaryFolder(), 'disk.qcow2');
      await qemuImg('create', '-f', 'qcow2', '-o', `refcount_bits=${bits}`, path, '8M');
      await qemuIo(path, 'write -P 1 0 1M');
      change(path, (bytes) => {
        const counts = countsAt(bytes);
        // The first eight bytes count at least the header; the following counts of 1 bit are free.
        bytes[counts + 256] = 0xff;
        bytes.fill(0, counts, counts + 1);
        bytes.fill(0, counts + 7, counts + 8);
      });
      const image = await opened(path);
      expect(image.repaired?.leakedClusters).toBeGreaterThan(0);
      expect((await readAt(image, 0, MIB)).every((byte) => byte === 1)).toBe(true);
      await image.write(MIB, pattern(MIB, 1));
      await image.close();
      expect(await checked(path)).toBe('clean');
    },
  );

  test('COPIED flags, and clears the dirty bit', async () => {
    const path = await imageFile('-o', 'lazy_refcounts=on');
    change(path, (bytes) => {
      bytes[79]! |= 1;
      for (let index = 0; index < 48; index += 1) bytes[l2At(bytes) + index * 8]! ^= 0x80;
      bytes[l1At(bytes)]! ^= 0x80;
    });
    const image = await opened(path);
    expect(image.repaired).toEqual({ leakedClusters: 0, correctedEntries: 49 });
    await image.close();
    expect(readFileSync(path)[79]).toBe(0);
    expect(await checked(path)).toBe('clean');
    expect((await opened(path)).repaired).toBe(null);
  });

  test('feature bits that are valid only without other writers', async () => {
    const path = await imageFile();
    await qemuImg('bitmap', '--add', path, 'bitmap');
    expect(readFileSync(path)[95]).toBe(1);
    await (await opened(path)).close();
    expect(readFileSync(path)[95]).toBe(0);
    expect(await checked(path)).toBe('clean');
  });
});

describe('an image is refused for writing, and is not changed', () => {
  const CASES: [what: string, code: string, edit: (bytes: Buffer) => void][] = [
    [
      'an L2 entry is not aligned to a cluster',
      'image_corrupt',
      (b) => b.writeUInt32BE(0x200 + b.readUInt32BE(l2At(b) + 4), l2At(b) + 4),
    ],
    ['an L2 entry has reserved bits', 'image_corrupt', (b) => (b[l2At(b) + 7]! |= 2)],
    ['an L1 entry has reserved bits', 'image_corrupt', (b) => (b[l1At(b)]! |= 1)],
    ['an L2 entry points beyond the end', 'image_truncated', (b) => (b[l2At(b) + 2] = 1)],
    ['guest data overlaps a table', 'image_corrupt', (b) => b.writeBigUInt64BE(BigInt(l2At(b)), l2At(b))],
    ['the L1 table overlaps the header', 'image_corrupt', (b) => b.writeBigUInt64BE(0n, 40)],
    ['the refcount table is beyond the end', 'image_truncated', (b) => b.writeBigUInt64BE(1n << 40n, 48)],
    ['it is encrypted', 'image_unsupported', (b) => b.writeUInt32BE(1, 32)],
    ['it has an external data file', 'image_unsupported', (b) => (b[79]! |= 4)],
    ['it has extended L2 entries', 'image_unsupported', (b) => (b[79]! |= 16)],
    ['it has an unknown feature', 'image_unsupported', (b) => (b[78]! |= 1)],
    ['its clusters have 2^30 bytes', 'image_corrupt', (b) => b.writeUInt32BE(30, 20)],
    ['its L1 table is too large', 'image_too_large', (b) => b.writeUInt32BE(0xffff_ffff, 36)],
  ];

  test.each(CASES)('under this condition: %s', async (_what, code, edit) => {
    const path = await imageFile();
    change(path, edit);
    const before = readFileSync(path);
    await expect(openImage(path)).rejects.toMatchObject({ code, message: expect.stringContaining(path) });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('if it was truncated', async () => {
    const path = await imageFile();
    const bytes = readFileSync(path);
    for (const length of [3, 50, 110, 65_536, 200_000, bytes.length - 70_000]) {
      writeFileSync(path, bytes.subarray(0, length));
      await expect(openImage(path)).rejects.toMatchObject({
        code: expect.stringMatching(/^image_(truncated|not_qcow2)$/),
      });
    }
  });
});

describe('failing storage', () => {
  async function faulty(): Promise<{ image: Image; file: LoggedFile; judge: () => Promise<string> }> {
    const path = join(temporaryFolder(), 'disk.qcow2');
    await createImage(path, { diskBytes: 8 * MIB });
    const file = new LoggedFile(readFileSync(path));
    const image = await openImageFile(file, { readOnly: false, identity: 'faulty' });
    const judge = () => {
      writeFileSync(path, file.content());
      return checked(path);
    };
    return { image, file, judge };
  }

  test('that is full at any write of a snapshot leaves the image unchanged and usable', async () => {
    const { image, file, judge } = await faulty();
    await image.write(0, pattern(MIB, 1));
    await image.flush();
    let refused = 0;
    for (let failAt = 0; image.snapshots.length === 0; failAt += 1) {
      let writes = 0;
      file.failing = (what) => (what === 'write' && writes++ === failAt ? new BlockError('no_space', 'full') : null);
      const writer = await image.beginVmState();
      await writer.append(pattern(MIB, 2)).catch(() => {});
      await image.createSnapshot(snapshotNamed('one')).catch((error: BlockError) => {
        expect(error.code).toBe('no_space');
        refused += 1;
      });
      file.failing = null;
      if (image.snapshots.length > 0) break;
      await image.dropVmState();
      await image.write(3000, pattern(100_000, failAt));
      await image.flush();
      expect(await judge()).toBe('clean');
    }
    expect(refused).toBeGreaterThan(5);
    await image.flush();
    expect(await judge()).toBe('clean');
  });

  test('that is full at a write of the guest fails only that write', async () => {
    const { image, file, judge } = await faulty();
    for (let failAt = 0; failAt < 4; failAt += 1) {
      let writes = 0;
      file.failing = (what) => (what === 'write' && writes++ === failAt ? new BlockError('no_space', 'full') : null);
      const outcome = await image.write(failAt * MIB + 100, pattern(200_000, 1)).then(
        () => 'done',
        (error: BlockError) => error.code,
      );
      file.failing = null;
      expect(['done', 'no_space']).toContain(outcome);
      await image.write(failAt * MIB + 100, pattern(200_000, 2));
      await image.flush();
      expect(await judge()).toBe('clean');
    }
  });

  test('that fails a flush ends all writing, but not reading', async () => {
    const { image, file } = await faulty();
    await image.write(0, pattern(MIB, 1));
    file.failing = (what) => (what === 'sync' ? new BlockError('image_io_error', 'EIO') : null);
    await expect(image.flush()).rejects.toMatchObject({ code: 'image_io_error' });
    file.failing = null;
    await expect(image.write(0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'image_io_error' });
    await expect(image.flush()).rejects.toMatchObject({ code: 'image_io_error' });
    await expect(image.createSnapshot(snapshotNamed('one'))).rejects.toMatchObject({ code: 'image_io_error' });
    expect((await readAt(image, 0, MIB)).equals(pattern(MIB, 1))).toBe(true);
    await image.close();
  });
});

test('qemu-img finds nothing to repair in a repaired image', async () => {
  const path = await imageFile();
  change(path, (bytes) => bytes.fill(0x11, countsAt(bytes) + 200, countsAt(bytes) + 240));
  await (await opened(path)).close();
  expect((await run('qemu-img', 'check', '-r', 'all', path)).output).toContain('No errors were found');
});
