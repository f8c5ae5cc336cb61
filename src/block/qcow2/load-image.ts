import { dirname, isAbsolute, join } from 'node:path';
import { BlockError } from '../image.ts';
import { type BlockFile, openBlockFile, type SystemFile } from '../image-file.ts';
import type { ImageUse } from '../image-locks.ts';
import { decodeHeader, type Header, MAGIC } from './image-header.ts';
import { alignmentFault, assertInside, entryError, insideFault, readTable } from './l2-tables.ts';
import { activeMapping, readMapped } from './mapping.ts';
import { readSnapshotL1 } from './snapshot-reader.ts';
import { type DecodedTable, decodeSnapshotTable, type SnapshotEntry } from './snapshot-table.ts';
import {
  CLUSTER_BITS_MAX,
  ENTRY_BYTES,
  l1Fault,
  offsetAt,
  SNAPSHOT_TABLE_BYTES_MAX,
  SNAPSHOTS_MAX,
} from './table-format.ts';
import { type BackingSource, Volume } from './volume.ts';

/**
 * Reads header, snapshot table and active L1, and opens the backing files. Writes nothing. Damage of the snapshot table
 * is recorded in the volume: the disk can still be read.
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

/** Length of the start of the first cluster that is kept to be compared with the file later. It contains the header. */
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

/** Reads all readable entries of the snapshot table; the result contains the first fault. */
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

/** Most files in a chain of images and backing files. */
const CHAIN_MAX = 32;
const FORMATS = ['qcow2', 'raw'];

/** Identities of the files of a chain that are open already, and the use for which the next one is opened. */
export type Chain = { readonly files: readonly string[]; readonly use: ImageUse };

/**
 * Opens the backing file of an image read-only, with the locks of the chain's use.
 * @throws BlockError
 */
export async function openBacking(
  header: Header,
  of: { path: string; chain: Chain },
  openQcow2: (file: SystemFile, chain: Chain) => Promise<BackingSource>,
): Promise<BackingSource | null> {
  if (header.backingName === null) return null;
  const path = backingPath(header.backingName, of.path);
  if (of.chain.files.length > CHAIN_MAX) {
    const message = `${of.path}: the chain of backing files is longer than ${CHAIN_MAX}.`;
    throw new BlockError('image_unsupported', message);
  }
  const file = await openBlockFile(path, { readOnly: true, use: 'none' }).catch((error: unknown) => {
    throw backingError(error, of.path);
  });
  try {
    const { identity } = file;
    if (of.chain.files.includes(identity)) {
      throw new BlockError(
        'image_corrupt',
        `${of.path}: its backing file ${path} is in its own chain of backing files.`,
      );
    }
    changeUse(file, of);
    const format = await formatOf(header, file);
    if (format === 'qcow2') return await openQcow2(file, { ...of.chain, files: [...of.chain.files, identity] });
    return { read: (offset, into) => file.read(offset, into), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function changeUse(file: SystemFile, of: { path: string; chain: Chain }): void {
  try {
    file.changeUse(of.chain.use);
  } catch (error) {
    throw backingError(error, of.path);
  }
}

function backingError(error: unknown, path: string): unknown {
  if (!(error instanceof BlockError)) return error;
  return new BlockError(error.code, `${path}: its backing file cannot be opened: ${error.message}`, { cause: error });
}

/**
 * As in QEMU, text before the first colon is a protocol if it has no slash; a name after `file:` has no other protocol.
 */
const WITH_PROTOCOL = /^[^:/]*:/;
const FILE_PROTOCOL = 'file:';

function backingPath(name: string, imagePath: string): string {
  const isFile = name.startsWith(FILE_PROTOCOL);
  const plain = isFile ? name.slice(FILE_PROTOCOL.length) : name;
  if (plain === '' || plain.includes('\0') || (!isFile && WITH_PROTOCOL.test(plain))) {
    const advice = 'A name with a colon before its first slash needs "file:" or "./" in front.';
    const message = `${imagePath}: the backing file "${name.slice(0, 100)}" is not a plain file name. ${advice}`;
    throw new BlockError('image_unsupported', message);
  }
  return isAbsolute(plain) ? plain : join(dirname(imagePath), plain);
}

async function formatOf(header: Header, file: SystemFile): Promise<string> {
  const format = header.extensions.backingFormat;
  if (format === null) {
    const magic = Buffer.alloc(4);
    await file.read(0, magic);
    return magic.readUInt32BE(0) === MAGIC ? 'qcow2' : 'raw';
  }
  if (FORMATS.includes(format)) return format;
  const message = `${file.path}: backing files of format "${format.slice(0, 100)}" are not supported.`;
  throw new BlockError('image_unsupported', message);
}

/*
 * Comparison of the file with the open image. Another program may overwrite or cut a file that is open here: the tables
 * in memory stay valid, but the image could not be opened again. The caller has the image alone, so that no table is
 * written during the comparison.
 */

/**
 * @throws BlockError if the file was removed, replaced or cut, or if its header differs from the one read or written.
 */
export async function assertSameFile({ file, headerBytes }: Volume): Promise<void> {
  await file.assertPresent();
  const found = Buffer.alloc(headerBytes.length);
  await file.read(0, found);
  if (found.equals(headerBytes)) return;
  const at = found.findIndex((byte, index) => byte !== headerBytes[index]);
  throw overwritten(file.path, `its header differs at ${at} from what was read or written there`);
}

/**
 * Reads back from the file every table that opening it needs, and the tables of one snapshot. All changes in memory
 * must be committed before.
 * @throws BlockError that names the structure which differs.
 */
export async function readBack(volume: Volume, entry: SnapshotEntry | undefined): Promise<void> {
  const { file, header, pointers, l1 } = volume;
  await assertSameFile(volume);
  await compare(volume, 'active L1 table', { offset: pointers.l1.offset, bytes: l1 });
  if (volume.refcounts !== null) {
    const table = { name: 'refcount table', offset: pointers.refcountTable.offset };
    const bytes = Buffer.alloc(pointers.refcountTable.entries * ENTRY_BYTES);
    assertInside(file, { ...table, bytes: bytes.length });
    await file.read(table.offset, bytes);
    if (!volume.refcounts.isTable(bytes)) throw overwritten(file.path, `its ${table.name} at ${table.offset} differs`);
  }
  const { snapshots, fault } = await readSnapshotTable(file, { ...header, pointers });
  if (fault !== null && volume.snapshotFault === null) throw fault;
  const differs = snapshots.some((found, index) => !isSame(found, volume.snapshots[index]));
  if (differs || snapshots.length !== volume.snapshots.length) {
    throw overwritten(file.path, `its snapshot table at ${pointers.snapshotTable.offset} differs`);
  }
  for (const table of entry === undefined ? [l1] : [l1, await readSnapshotL1(volume, entry)])
    await readTables(volume, table);
}

async function readTables(volume: Volume, l1: Buffer): Promise<void> {
  for (let index = 0; index < l1.length / ENTRY_BYTES; index += 1) {
    const offset = offsetAt(l1, index);
    if (offset !== 0) await readTable(volume, offset);
  }
}

async function compare(
  { file }: Volume,
  name: string,
  { offset, bytes }: { offset: number; bytes: Buffer },
): Promise<void> {
  const found = Buffer.alloc(bytes.length);
  await file.read(offset, found);
  if (!found.equals(bytes))
    throw overwritten(file.path, `its ${name} at ${offset} differs from what was written there`);
}

function isSame(found: SnapshotEntry, known: SnapshotEntry | undefined): boolean {
  if (known === undefined) return false;
  return found.id === known.id && found.name === known.name && found.l1.offset === known.l1.offset;
}

function overwritten(path: string, what: string): BlockError {
  return new BlockError(
    'image_gone',
    `${path}: another program has written to the image file while it was open: ${what}.`,
  );
}
