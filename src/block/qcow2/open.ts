import { type BlockFile, openBlockFile } from '../file.ts';
import { BlockError, type Image, type OpenOptions } from '../image.ts';
import { Committer } from './commit.ts';
import { INCOMPATIBLE } from './header.ts';
import { loadVolume } from './load.ts';
import { Qcow2Image } from './qcow2-image.ts';
import { makeWritable } from './repair.ts';
import type { Volume } from './volume.ts';

export { createImage } from './create.ts';

/**
 * Opens an image; for writing it takes the locks, checks all tables and puts right what may be put right. A version 2
 * image is always open read-only.
 * @throws BlockError
 */
export async function openImage(path: string, options: OpenOptions = {}): Promise<Image> {
  const readOnly = options.readOnly === true || (await isVersion2(path));
  const file = await openBlockFile(path, { readOnly });
  return openImageFile(file, { readOnly, identity: file.identity });
}

/** Opens the image in a file that is open and locked; closes the file if that fails. */
export async function openImageFile(file: BlockFile, options: { readOnly: boolean; identity: string }): Promise<Image> {
  let volume: Volume | null = null;
  try {
    volume = await loadVolume(file, [options.identity]);
    const committer = new Committer(volume);
    if (options.readOnly || volume.header.version === 2) return new Qcow2Image(volume, committer, null);
    if ((volume.header.incompatible & INCOMPATIBLE.corrupt) !== 0n) {
      const message = `${file.path}: the image is marked as corrupt (incompatible feature bit 1); it may only be read.`;
      throw new BlockError('image_corrupt', message);
    }
    return new Qcow2Image(volume, committer, await makeWritable(volume, committer));
  } catch (error) {
    await volume?.backing?.close();
    await file.close();
    throw error;
  }
}

async function isVersion2(path: string): Promise<boolean> {
  const file = await openBlockFile(path, { readOnly: true });
  const version = Buffer.alloc(8);
  await file.read(0, version).finally(() => file.close());
  return version.readUInt32BE(4) === 2;
}
