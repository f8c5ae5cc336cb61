import { randomBytes } from 'node:crypto';
import { link, open, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError } from '../file-errors.ts';
import { BlockError, type CreateOptions } from '../image.ts';
import { encodeCount } from './count-codec.ts';
import {
  CLUSTER_BITS_MAX,
  CLUSTER_BITS_MIN,
  clustersOf,
  ENTRY_BYTES,
  type Geometry,
  geometryOf,
  L1_BYTES_MAX,
  l1EntriesOf,
} from './geometry.ts';
import { encodeHeader, HEADER_BYTES } from './header.ts';
import { encodeExtensions } from './header-extensions.ts';

const CLUSTER_BITS = 16;
const REFCOUNT_ORDER = 4;

/**
 * Makes an empty image. It is written under another name and then given its own, so that there is never half an image, and
 * never one in place of another file. Durable once it resolves.
 * @throws BlockError `out_of_range`, `image_too_large`, `image_io_error` if there is a file of that name, …
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

/** Header, refcount table, refcount blocks, L1 table: in this order, nothing else. */
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
