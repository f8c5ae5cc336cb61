import { type BlockFile, openBlockFile } from '../file.ts';
import { BlockError, type Image, type OpenOptions } from '../image.ts';
import { type CheckedImage, checkImage } from './check.ts';
import { Committer } from './commit.ts';
import { INCOMPATIBLE } from './header.ts';
import { loadVolume } from './load.ts';
import { Qcow2Image } from './qcow2-image.ts';
import { makeWritable } from './repair.ts';
import type { Volume } from './volume.ts';

export { createImage } from './create.ts';

/**
 * Opens an image; for writing it takes the locks, checks all tables and puts right what may be put right. An image that
 * must not be written although its disk can be read is open read-only then, with a reason: version 2, marked as
 * corrupt, or with damage that concerns only its snapshots.
 * @throws BlockError
 */
export async function openImage(path: string, options: OpenOptions = {}): Promise<Image> {
  if (options.readOnly === true) return openToRead(path, null);
  const version2 = await version2Reason(path);
  if (version2 !== null) return openToRead(path, version2);
  const file = await openBlockFile(path, { readOnly: false });
  try {
    return await openImageFile(file, { readOnly: false, identity: file.identity });
  } catch (error) {
    if (!(error instanceof OnlyReadable)) throw error;
    return openToRead(path, error.message);
  }
}

/** What may be read but not written. The message says why, and what to do. */
export class OnlyReadable extends BlockError {
  override readonly name = 'OnlyReadable';
}

/**
 * Opens the image in a file that is open and locked; closes the file if that fails.
 * @param options.reason why an image that was to be written is opened read-only.
 */
export async function openImageFile(
  file: BlockFile,
  options: { readOnly: boolean; identity: string; reason?: string | null },
): Promise<Image> {
  let volume: Volume | null = null;
  try {
    volume = await loadVolume(file, { files: [options.identity], use: 'read' });
    const committer = new Committer(volume);
    if (options.readOnly) volume.readOnlyReason = options.reason ?? volume.snapshotFault?.message ?? null;
    if (options.readOnly) return new Qcow2Image(volume, committer, null);
    refuseUnwritable(volume);
    const checked = await checkAll(volume);
    return new Qcow2Image(volume, committer, await makeWritable(volume, committer, checked));
  } catch (error) {
    await volume?.backing?.close();
    await file.close();
    throw error;
  }
}

async function openToRead(path: string, reason: string | null): Promise<Image> {
  const file = await openBlockFile(path, { readOnly: true });
  return openImageFile(file, { readOnly: true, identity: file.identity, reason });
}

/** Why this is an image that is never written, or null; says nothing of what is no image. */
export async function version2Reason(path: string): Promise<string | null> {
  const file = await openBlockFile(path, { readOnly: true, use: 'none' });
  const version = Buffer.alloc(8);
  await file.read(0, version).finally(() => file.close());
  return version.readUInt32BE(4) === 2 ? adviceForVersion2(path) : null;
}

function adviceForVersion2(path: string): string {
  return `${path} is an image of version 2, which is only read. "qemu-img amend -f qcow2 -o compat=1.1 ${path}" makes it version 3.`;
}

function refuseUnwritable({ file, header }: Volume): void {
  if (header.version === 2) throw new OnlyReadable('image_read_only', adviceForVersion2(file.path));
  if ((header.incompatible & INCOMPATIBLE.corrupt) !== 0n) {
    const what = 'the image is marked as corrupt (incompatible feature bit 1), so it may only be read.';
    throw new OnlyReadable('image_corrupt', `${file.path}: ${what} ${repairAdvice(file.path)}`);
  }
}

/** Why an image may only be read, as far as its header tells; null if it may be written. */
export function unwritableReason(volume: Volume): string | null {
  try {
    refuseUnwritable(volume);
    return null;
  } catch (error) {
    return (error as OnlyReadable).message;
  }
}

/** @throws OnlyReadable if only what belongs to snapshots is damaged, BlockError if the disk's tables are. */
async function checkAll(volume: Volume): Promise<CheckedImage> {
  try {
    if (volume.snapshotFault !== null) throw volume.snapshotFault;
    return await checkImage(volume);
  } catch (error) {
    if (!(error instanceof BlockError) || volume.pointers.snapshotTable.entries === 0) throw error;
    await checkImage(volume, { snapshots: [] }).catch((own) => {
      throw error === volume.snapshotFault ? own : error;
    });
    throw onlySnapshots(error, volume.file.path);
  }
}

function onlySnapshots(fault: BlockError, path: string): OnlyReadable {
  const what = 'Only snapshots are damaged; the disk itself may be read.';
  return new OnlyReadable(fault.code, `${fault.message} ${what} ${repairAdvice(path)}`, { cause: fault });
}

function repairAdvice(path: string): string {
  return `"qemu-img check -r all ${path}" repairs what can be repaired.`;
}
