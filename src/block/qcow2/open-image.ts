import { randomBytes } from 'node:crypto';
import { link, open, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BlockError, type CreateOptions, type Image, type OpenOptions } from '../image.ts';
import { type BlockFile, fileError, openBlockFile } from '../image-file.ts';
import { Committer } from './commit.ts';
import { encodeExtensions } from './header-extensions.ts';
import { type CheckedImage, checkImage } from './image-check.ts';
import { encodeHeader, HEADER_BYTES, INCOMPATIBLE } from './image-header.ts';
import { makeWritable } from './image-repair.ts';
import { loadVolume } from './load-image.ts';
import { Qcow2Image } from './qcow2-image.ts';
import {
  CLUSTER_BITS_MAX,
  CLUSTER_BITS_MIN,
  clustersOf,
  ENTRY_BYTES,
  encodeCount,
  type Geometry,
  geometryOf,
  L1_BYTES_MAX,
  l1EntriesOf,
} from './table-format.ts';
import type { Volume } from './volume.ts';

/**
 * Opens an image. For writing it takes the locks, checks all tables and repairs counts and flags. An image whose disk
 * can be read but must not be written is opened read-only, with a reason: it has version 2, is marked as corrupt, or
 * has damaged snapshots.
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

/** An image that can be read but must not be written. The message has the reason and the remedy. */
export class OnlyReadable extends BlockError {
  override readonly name = 'OnlyReadable';
}

/**
 * Opens the image in a file that is open and locked; closes the file if that fails.
 * @param options.reason reason why an image that should be writable is opened read-only.
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

/**
 * Reason and remedy if the file is an image of version 2, which is never written; otherwise null, also for other files.
 */
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

/** Reason in the header why an image may only be read; null if there is none. */
export function unwritableReason(volume: Volume): string | null {
  try {
    refuseUnwritable(volume);
    return null;
  } catch (error) {
    return (error as OnlyReadable).message;
  }
}

/** @throws OnlyReadable if only snapshots are damaged; BlockError if the tables of the disk are damaged. */
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

const CLUSTER_BITS = 16;
const REFCOUNT_ORDER = 4;

/**
 * Creates an empty image. It is written under a temporary name and then linked to its own name, so that an incomplete
 * image never has that name, and no existing file is replaced. Durable when it resolves.
 * @throws BlockError `out_of_range`, `image_too_large`, `image_io_error` if a file of that name exists, …
 */
export async function createImage(path: string, options: CreateOptions): Promise<void> {
  const image = encodeEmptyImage(path, options);
  const unfinished = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(unfinished, 'wx', 0o644);
    try {
      await file.writeFile(image);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(unfinished, path);
  } catch (error) {
    throw fileError(error, path, 'making the image');
  } finally {
    await unlink(unfinished).catch(() => {});
  }
  await syncFolder(dirname(path));
}

/** The bytes of an empty image: header, refcount table, refcount blocks, L1 table. */
function encodeEmptyImage(path: string, options: CreateOptions): Buffer {
  const clusterBits = options.clusterBits ?? CLUSTER_BITS;
  const { diskBytes } = options;
  const isInRange = clusterBits >= CLUSTER_BITS_MIN && clusterBits <= CLUSTER_BITS_MAX && Number.isInteger(clusterBits);
  if (!isInRange || !Number.isSafeInteger(diskBytes) || diskBytes <= 0 || diskBytes % 512 !== 0) {
    const limits = `a multiple of 512 and ${CLUSTER_BITS_MIN} to ${CLUSTER_BITS_MAX} cluster bits are allowed`;
    throw new BlockError('out_of_range', `${path}: ${diskBytes} bytes and ${clusterBits} cluster bits; ${limits}.`);
  }
  const geometry = geometryOf(clusterBits, REFCOUNT_ORDER);
  const entries = l1EntriesOf(diskBytes, geometry);
  if (entries * ENTRY_BYTES > L1_BYTES_MAX) {
    const limit = (L1_BYTES_MAX / ENTRY_BYTES) * geometry.bytesPerTable;
    const message = `${path}: a disk of ${diskBytes} bytes; with ${clusterBits} cluster bits ${limit} are allowed.`;
    throw new BlockError('image_too_large', message);
  }
  return layOut(diskBytes, entries, geometry);
}

function layOut(diskBytes: number, entries: number, geometry: Geometry): Buffer {
  const { clusterBytes, countsPerBlock, tableEntries } = geometry;
  const l1Clusters = clustersOf(entries * ENTRY_BYTES, geometry);
  let blocks = 1;
  const tableClusters = () => Math.ceil(blocks / tableEntries);
  const total = () => 1 + tableClusters() + blocks + l1Clusters;
  while (blocks * countsPerBlock < total()) blocks += 1;
  const image = Buffer.alloc(total() * clusterBytes);
  const firstBlock = 1 + tableClusters();
  encodeHeader(
    {
      diskBytes,
      l1: { offset: (firstBlock + blocks) * clusterBytes, entries },
      refcountTable: { offset: clusterBytes, entries: tableClusters() * tableEntries },
      snapshotTable: { offset: 0, entries: 0 },
    },
    geometry,
  ).copy(image);
  encodeExtensions().copy(image, HEADER_BYTES);
  for (let block = 0; block < blocks; block += 1) {
    image.writeBigUInt64BE(BigInt((firstBlock + block) * clusterBytes), clusterBytes + block * ENTRY_BYTES);
  }
  const counts = image.subarray(firstBlock * clusterBytes, (firstBlock + blocks) * clusterBytes);
  for (let cluster = 0; cluster < total(); cluster += 1) encodeCount(counts, { index: cluster, count: 1 }, geometry);
  return image;
}

async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw fileError(error, path, 'flushing the folder');
  }
}
