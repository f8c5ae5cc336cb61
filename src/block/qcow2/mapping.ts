import { promisify } from 'node:util';
import { createZstdDecompress, inflateRaw } from 'node:zlib';
import { BlockError } from '../image.ts';
import { compressedAt, type EntryKind, kindAt, offsetAt } from './table-format.ts';
import type { Volume } from './volume.ts';

/** Adjacent clusters of one kind; data clusters are adjacent in the file too. */
export type MappedRun = { readonly kind: EntryKind; readonly offset: number; readonly clusters: number };

/** Source of the L2 tables of a disk or snapshot, and of the content of its holes. */
export type Mapping = {
  table(l1Index: number): Promise<Buffer | null>;
  readHole(position: number, into: Uint8Array): Promise<void>;
};

/** The longest run that starts at an entry, inside its table, at most `clustersMax` clusters. */
export function runAt(table: Buffer | null, index: number, clustersMax: number): MappedRun {
  if (table === null) return { kind: 'unallocated', offset: 0, clusters: clustersMax };
  const clusterBytes = table.length;
  const kind = kindAt(table, index);
  const offset = kind === 'data' ? offsetAt(table, index) : 0;
  if (kind === 'compressed') return { kind, offset, clusters: 1 };
  let clusters = 1;
  for (; clusters < clustersMax && kindAt(table, index + clusters) === kind; clusters += 1) {
    if (kind === 'data' && offsetAt(table, index + clusters) !== offset + clusters * clusterBytes) break;
  }
  return { kind, offset, clusters };
}

/** Reads data through L1 and L2 tables, from `position` on. */
export async function readMapped(
  volume: Volume,
  mapping: Mapping,
  at: { position: number; into: Uint8Array },
): Promise<void> {
  const { clusterBytes, tableEntries, bytesPerTable } = volume.geometry;
  const end = at.position + at.into.length;
  for (let position = at.position; position < end; ) {
    const table = await mapping.table(Math.floor(position / bytesPerTable));
    const cluster = Math.floor(position / clusterBytes);
    const index = cluster % tableEntries;
    const clustersMax = Math.min(tableEntries - index, Math.ceil(end / clusterBytes) - cluster);
    const run = runAt(table, index, clustersMax);
    const next = Math.min(end, (cluster + run.clusters) * clusterBytes);
    const into = at.into.subarray(position - at.position, next - at.position);
    if (run.kind === 'data') await volume.file.read(run.offset + (position % clusterBytes), into);
    else if (run.kind === 'zero') into.fill(0);
    else if (run.kind === 'unallocated') await mapping.readHole(position, into);
    else {
      const where = { ...compressedAt(table!, index, volume.geometry), from: position % clusterBytes };
      await readCompressed(volume, where, into);
    }
    position = next;
  }
}

/** The mapping of the active disk. */
export function activeMapping(volume: Volume): Mapping {
  return {
    table: (index) => volume.activeTable(index),
    readHole: (position, into) => readBacking(volume, position, into),
  };
}

export async function readBacking(volume: Volume, position: number, into: Uint8Array): Promise<void> {
  if (volume.backing === null) into.fill(0);
  else await volume.backing.read(position, into);
}

const inflate = promisify(inflateRaw);

type Place = { readonly offset: number; readonly bytes: number };
type Kept = Place & { readonly content: Promise<Buffer> };

/** The cluster that was decompressed last, so that consecutive small reads decompress it once. */
const kept = new WeakMap<Volume, Kept>();

/** Reads a part of a compressed cluster, from byte `from` of its content on. @throws BlockError `image_corrupt` */
export async function readCompressed(
  volume: Volume,
  place: Place & { readonly from: number },
  into: Uint8Array,
): Promise<void> {
  let last = kept.get(volume);
  if (last === undefined || last.offset !== place.offset || last.bytes !== place.bytes) {
    last = { offset: place.offset, bytes: place.bytes, content: unpack(volume, place) };
    kept.set(volume, last);
    last.content.catch(() => kept.delete(volume));
  }
  const content = await last.content;
  into.set(content.subarray(place.from, place.from + into.length));
}

/** Drops the kept content, because its clusters were freed and may be overwritten. */
export function forgetCompressed(volume: Volume): void {
  kept.delete(volume);
}

async function unpack(volume: Volume, { offset, bytes }: Place): Promise<Buffer> {
  const { clusterBytes } = volume.geometry;
  const packed = Buffer.alloc(bytes);
  await volume.file.read(offset, packed);
  const fault = (cause: unknown) => {
    const message = `${volume.file.path}: the compressed cluster at ${offset} cannot be unpacked to ${clusterBytes} bytes.`;
    return new BlockError('image_corrupt', message, { cause });
  };
  // The entry has the length in sectors only, so other bytes may follow the compressed data.
  const unpacking =
    volume.header.compression === 'zstd'
      ? unpackZstd(packed, clusterBytes)
      : inflate(packed, { maxOutputLength: clusterBytes });
  const content = await unpacking.catch((error: unknown) => {
    throw fault(error);
  });
  if (content.length !== clusterBytes) throw fault(null);
  return content;
}

function unpackZstd(packed: Buffer, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = createZstdDecompress();
    const parts: Buffer[] = [];
    let bytes = 0;
    const end = () => {
      stream.destroy();
      resolve(Buffer.concat(parts).subarray(0, bytesMax));
    };
    stream.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes >= bytesMax) end();
    });
    stream.on('end', end);
    stream.on('error', reject);
    stream.end(packed);
  });
}
