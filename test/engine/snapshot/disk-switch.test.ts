import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlockError, type Image } from '../../../src/block/image.ts';
import { createImage, openImageFile } from '../../../src/block/qcow2/open-image.ts';
import { DiskSwitch } from '../../../src/engine/snapshot/worker/load-task.ts';
import { MIB, pattern, readAt, snapshotNamed } from '../../block/images.ts';
import { LoggedFile } from '../../block/logged-file.ts';
import { temporaryDirectory } from '../../helpers/app.ts';

// Disks that are switched together, on storage that fails during the switch.

type Disk = { readonly image: Image; readonly file: LoggedFile };

const SAVED = pattern(MIB, 1);
const NOW = pattern(MIB, 2);

/** A disk with a snapshot, prepared to be switched to it. */
async function prepared(disks: DiskSwitch, node: string): Promise<Disk> {
  const path = join(temporaryDirectory(), 'disk.qcow2');
  await createImage(path, { diskBytes: 8 * MIB });
  const file = new LoggedFile(readFileSync(path));
  const image = await openImageFile(file, { readOnly: false, identity: path });
  await image.write(0, SAVED);
  const { id } = await image.createSnapshot(snapshotNamed('one'));
  await image.write(0, NOW);
  await disks.prepare(node, image.prepareApply(id));
  return { image, file };
}

async function twoDisks(): Promise<{ disks: DiskSwitch; first: Disk; second: Disk }> {
  const disks = new DiskSwitch();
  return { disks, first: await prepared(disks, 'disk0'), second: await prepared(disks, 'disk1') };
}

const isHeader = (what: string, position: number) => what === 'write' && position < 104;
const holds = async ({ image }: Disk, content: Buffer) => (await readAt(image, 0, MIB)).equals(content);

describe('a disk that cannot be switched', () => {
  test('leaves all disks unchanged, and fails with its own error', async () => {
    const { disks, first, second } = await twoDisks();
    second.file.failing = (what, at) => (isHeader(what, at) ? new BlockError('no_space', 'full') : null);
    await expect(disks.commit()).rejects.toMatchObject({ code: 'no_space', message: 'full' });
    expect(await holds(first, NOW)).toBe(true);
    expect(await holds(second, NOW)).toBe(true);
  });

  test('leaves another disk in doubt that cannot be switched back', async () => {
    const { disks, first, second } = await twoDisks();
    second.file.failing = (what, at) => {
      if (!isHeader(what, at)) return null;
      first.file.failing = (kind, position) => (isHeader(kind, position) ? new BlockError('no_space', 'full') : null);
      return new BlockError('no_space', 'full');
    };
    await expect(disks.commit()).rejects.toMatchObject({
      code: 'disks_in_doubt',
      message: expect.stringMatching(/: 'disk0' \(node disk1: full; node disk0: full\)/),
    });
    expect(await holds(first, SAVED)).toBe(true);
  });

  test.each(['write', 'sync'] as const)('is in doubt if its new header may be in the file: %s', async (failing) => {
    const { disks, first, second } = await twoDisks();
    let isWritten = false;
    second.file.failing = (what, at) => {
      isWritten ||= isHeader(what, at);
      return isWritten && what === failing ? new BlockError('image_io_error', 'EIO') : null;
    };
    await expect(disks.commit()).rejects.toMatchObject({
      code: 'disks_in_doubt',
      message: expect.stringMatching(/: 'disk1' \(node disk1: EIO/),
    });
    expect(await holds(first, NOW)).toBe(true);
  });
});

test('a disk that cannot be switched back after the machine was refused is in doubt', async () => {
  const { disks, first } = await twoDisks();
  await disks.commit();
  first.file.failing = (what, at) => (isHeader(what, at) ? new BlockError('image_io_error', 'EIO') : null);
  await expect(disks.revert()).rejects.toMatchObject({
    code: 'disks_in_doubt',
    message: expect.stringMatching(/'disk0'/),
  });
});
