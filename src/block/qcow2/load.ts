import type { BlockFile, SystemFile } from '../file.ts';
import { BlockError } from '../image.ts';
import { type Chain, openBacking } from './backing.ts';
import { l1Fault, offsetAt } from './entries.ts';
import { CLUSTER_BITS_MAX, ENTRY_BYTES, SNAPSHOT_TABLE_BYTES_MAX, SNAPSHOTS_MAX } from './geometry.ts';
import { decodeHeader, type Header } from './header.ts';
import { activeMapping, readMapped } from './mapping.ts';
import { type DecodedTable, decodeSnapshotTable } from './snapshot-table.ts';
import { alignmentFault, assertInside, entryError, insideFault } from './table-checks.ts';
import { type BackingSource, Volume } from './volume.ts';

/**
 * Reads header, snapshot table and active L1, and opens the backing files. Writes nothing. A snapshot table that cannot be
 * read is a fault of the volume, which may be read nevertheless.
 * @throws BlockError
 */
export async function loadVolume(file: BlockFile, chain: Chain): Promise<Volume> {
  const { header, headerBytes } = await readHeader(file);
  const table = await readSnapshotTable(file, header);
  const l1 = await readL1(file, header);
  const backing = await openBacking(header, { path: file.path, chain }, openBehind);
  const { snapshots, bytes: snapshotTableBytes, fault: snapshotFault } = table;
  return new Volume({ file, header, headerBytes, l1, snapshots, snapshotTableBytes, snapshotFault, backing });
}

/** So much of the first cluster is compared with the file later on; the fields of the header lie in it. */
const HEADER_KEPT_BYTES = 4096;

async function openBehind(file: SystemFile, chain: Chain): Promise<BackingSource> {
  const volume = await loadVolume(file, chain);
  return {
    read: async (offset, into) => {
      const inside = Math.max(0, Math.min(into.length, volume.pointers.diskBytes - offset));
      into.fill(0, inside);
      await readMapped(volume, activeMapping(volume), { position: offset, into: into.subarray(0, inside) });
    },
    close: async () => {
      await volume.backing?.close();
      await file.close();
    },
  };
}

async function readHeader(file: BlockFile): Promise<{ header: Header; headerBytes: Buffer }> {
  const cluster = Buffer.alloc(Math.min(2 ** CLUSTER_BITS_MAX, file.bytes));
  await file.read(0, cluster);
  const header = decodeHeader(cluster, file.path);
  const { clusterBytes } = header.geometry;
  return { header, headerBytes: Buffer.from(cluster.subarray(0, Math.min(clusterBytes, HEADER_KEPT_BYTES))) };
}

/** As much of it as can be read. */
export async function readSnapshotTable(
  file: BlockFile,
  header: Pick<Header, 'pointers' | 'version' | 'geometry'>,
): Promise<DecodedTable> {
  const { offset, entries } = header.pointers.snapshotTable;
  if (entries === 0) return { snapshots: [], bytes: 0, fault: null };
  const part = { name: 'snapshot table', offset, bytes: 1 };
  const fault = countFault(file, entries) ?? offsetFault(file, part, header) ?? insideFault(file, part);
  if (fault !== null) return { snapshots: [], bytes: 0, fault };
  const bytes = Buffer.allocUnsafeSlow(Math.min(SNAPSHOT_TABLE_BYTES_MAX, file.bytes - offset));
  await file.read(offset, bytes);
  return decodeSnapshotTable(bytes, {
    path: file.path,
    version: header.version,
    geometry: header.geometry,
    count: entries,
    diskBytes: header.pointers.diskBytes,
  });
}

function countFault(file: BlockFile, entries: number): BlockError | null {
  if (entries <= SNAPSHOTS_MAX) return null;
  const message = `${file.path}: header: ${entries} snapshots (at 60); ${SNAPSHOTS_MAX} are allowed.`;
  return new BlockError('image_too_large', message);
}

function offsetFault(
  file: BlockFile,
  part: { name: string; offset: number },
  { geometry }: Pick<Header, 'geometry'>,
): BlockError | null {
  const { name, offset } = part;
  if (offset % geometry.clusterBytes === 0 && offset > 0) return null;
  return new BlockError(
    'image_corrupt',
    `${file.path}: header: the ${name} lies at ${offset}, not on a cluster of its own.`,
  );
}

async function readL1(file: BlockFile, header: Header): Promise<Buffer> {
  const { offset, entries } = header.pointers.l1;
  const l1 = Buffer.alloc(entries * ENTRY_BYTES);
  if (entries === 0) return l1;
  if (offset === 0) throw new BlockError('image_corrupt', `${file.path}: header: the L1 table lies at 0.`);
  assertInside(file, { name: 'active L1 table', offset, bytes: l1.length });
  await file.read(offset, l1);
  for (let index = 0; index < entries; index += 1) {
    const fault = l1Fault(l1, index) ?? alignmentFault(offsetAt(l1, index), header.geometry);
    if (fault !== null) throw entryError(file, { name: 'active L1 table', at: offset, index, fault });
  }
  return l1;
}
