import { BlockError, type ImageSnapshot } from '../image.ts';
import {
  ENTRY_BYTES,
  type Geometry,
  L1_BYTES_MAX,
  l1EntriesOf,
  SNAPSHOT_TABLE_BYTES_MAX,
  type TablePlace,
} from './table-format.ts';

/*
 * Snapshot table: consecutive entries, each at a multiple of 8, big-endian:
 *   0 L1 offset u64, 8 L1 entries u32, 12 id bytes u16, 14 name bytes u16, 16 date s u32, 20 date ns u32,
 *   24 guest clock ns u64, 32 VM state bytes u32 (0 if more), 36 extra bytes u32; extra: 40 VM state bytes u64, 48 disk
 *   bytes u64, 56 icount u64, data of other programs; then id and name.
 */
const FIXED_BYTES = 40;
const QEMU_EXTRA_BYTES = 24;
/**
 * Version 3 requires the first two of QEMU's fields; QEMU's check reports an entry without them, reading accepts it.
 */
const EXTRA_BYTES_MIN_V3 = 16;
const EXTRA_BYTES_MAX = 1024;
const NO_ICOUNT = 2n ** 64n - 1n;
const NAME_BYTES_MAX = 65_535;

/** A snapshot with the place of its L1 table, and its unchanged bytes in the snapshot table; null for a new entry. */
export type SnapshotEntry = ImageSnapshot & { readonly l1: TablePlace; readonly stored: Buffer | null };

/** The public part of an entry. */
export function asSnapshot(entry: SnapshotEntry): ImageSnapshot {
  const { id, name, dateMs, clockNs, vmStateBytes, diskBytes, icount, extra } = entry;
  return { id, name, dateMs, clockNs, vmStateBytes, diskBytes, icount, extra };
}

export type TableContext = {
  readonly path: string;
  readonly version: 2 | 3;
  readonly geometry: Geometry;
  readonly count: number;
  /** Disk size of entries of old programs, which do not store it. */
  readonly diskBytes: number;
};

export type DecodedTable = {
  /** All readable entries. */
  readonly snapshots: readonly SnapshotEntry[];
  readonly bytes: number;
  /**
   * First fault, or null. An image with a fault is not written, because the clusters of unreadable snapshots are
   * unknown.
   */
  readonly fault: BlockError | null;
};

/**
 * Decodes all readable entries of the table: a damaged snapshot does not affect the disk.
 * @param bytes the bytes of the file from the table's offset on, at most the limit.
 */
export function decodeSnapshotTable(bytes: Buffer, context: TableContext): DecodedTable {
  const snapshots: SnapshotEntry[] = [];
  let fault: BlockError | null = null;
  let at = 0;
  for (let index = 0; index < context.count; index += 1) {
    at = Math.ceil(at / 8) * 8;
    let entry: Buffer;
    try {
      entry = entryBytes(bytes, at, { index, path: context.path });
    } catch (error) {
      // The start of the next entry is unknown.
      fault ??= error as BlockError;
      break;
    }
    at += entry.length;
    try {
      snapshots.push(decodeEntry(entry, context, index));
    } catch (error) {
      fault ??= error as BlockError;
    }
  }
  return { snapshots: withOwnIds(snapshots), bytes: at, fault };
}

/** Makes ids unique. An id that occurs twice gets a number appended in memory; the file keeps the id. */
function withOwnIds(snapshots: readonly SnapshotEntry[]): SnapshotEntry[] {
  const taken = new Set(snapshots.map(({ id }) => id));
  if (taken.size === snapshots.length) return [...snapshots];
  const seen = new Set<string>();
  return snapshots.map((snapshot) => {
    let { id } = snapshot;
    for (let number = 2; seen.has(id) || (id !== snapshot.id && taken.has(id)); number += 1) {
      id = `${snapshot.id}#${number}`;
    }
    seen.add(id);
    return id === snapshot.id ? snapshot : { ...snapshot, id };
  });
}

/** @throws BlockError `snapshot_table_full`, `out_of_range` */
export function encodeSnapshotTable(snapshots: readonly SnapshotEntry[], path: string): Buffer {
  const entries = snapshots.map((snapshot) => encodeEntry(snapshot, path));
  const bytes = entries.reduce((sum, entry) => sum + entry.length, 0);
  if (bytes <= SNAPSHOT_TABLE_BYTES_MAX) return Buffer.concat(entries);
  const limit = `${SNAPSHOT_TABLE_BYTES_MAX} are allowed`;
  throw new BlockError('snapshot_table_full', `${path}: the snapshot table would have ${bytes} bytes; ${limit}.`);
}

/** The highest numeric id plus 1. */
export function nextSnapshotId(snapshots: readonly ImageSnapshot[]): string {
  let highest = 0n;
  for (const { id } of snapshots) {
    if (/^[0-9]{1,19}$/.test(id) && BigInt(id) > highest) highest = BigInt(id);
  }
  return String(highest + 1n);
}

function entryBytes(bytes: Buffer, at: number, of: { index: number; path: string }): Buffer {
  const where = `${of.path}: entry ${of.index} of the snapshot table, ${at} bytes into it,`;
  const cut = (needed: number) => {
    if (at + needed <= bytes.length) return;
    if (at + needed > SNAPSHOT_TABLE_BYTES_MAX) {
      const limit = `${SNAPSHOT_TABLE_BYTES_MAX} are allowed`;
      throw new BlockError('image_too_large', `${where} makes the table longer than ${limit}.`);
    }
    throw new BlockError('image_truncated', `${where} reaches beyond the end of the file.`);
  };
  cut(FIXED_BYTES);
  const extra = bytes.readUInt32BE(at + 36);
  if (extra > EXTRA_BYTES_MAX) {
    throw new BlockError('image_corrupt', `${where} has ${extra} bytes of extra data; ${EXTRA_BYTES_MAX} are allowed.`);
  }
  const length = FIXED_BYTES + extra + bytes.readUInt16BE(at + 12) + bytes.readUInt16BE(at + 14);
  cut(length);
  return bytes.subarray(at, at + length);
}

function decodeEntry(entry: Buffer, context: TableContext, index: number): SnapshotEntry {
  const fault = (what: string) =>
    new BlockError('image_corrupt', `${context.path}: entry ${index} of the snapshot table ${what}.`);
  const extraBytes = entry.readUInt32BE(36);
  const extra = entry.subarray(FIXED_BYTES, FIXED_BYTES + extraBytes);
  const number = (at: number, otherwise: number) => {
    const value = extra.length >= at + 8 ? Number(extra.readBigUInt64BE(at)) : otherwise;
    if (value < 2 ** 53) return value;
    throw fault(`has a size of ${value} bytes; at most 2^53 is possible`);
  };
  const l1 = { offset: Number(entry.readBigUInt64BE(0)), entries: entry.readUInt32BE(8) };
  if (l1.offset % context.geometry.clusterBytes !== 0)
    throw fault(`has its L1 table at ${l1.offset}, not on a cluster`);
  if (l1.entries * ENTRY_BYTES > L1_BYTES_MAX) {
    const limit = `${L1_BYTES_MAX / ENTRY_BYTES} are allowed`;
    const message = `${context.path}: entry ${index} of the snapshot table has ${l1.entries} L1 entries; ${limit}.`;
    throw new BlockError('image_too_large', message);
  }
  const diskBytes = number(8, context.diskBytes);
  if (l1.offset === 0 && diskBytes > 0) throw fault('has no L1 table');
  // An entry without a disk size may have a short L1 table: the rest of its disk reads as never written.
  if (extraBytes >= EXTRA_BYTES_MIN_V3 && l1EntriesOf(diskBytes, context.geometry) > l1.entries) {
    throw fault(`has ${l1.entries} L1 entries, too few for its disk of ${diskBytes} bytes`);
  }
  const icount = extra.length >= QEMU_EXTRA_BYTES ? extra.readBigUInt64BE(16) : NO_ICOUNT;
  const nameAt = FIXED_BYTES + extraBytes + entry.readUInt16BE(12);
  return {
    l1,
    stored: context.version === 3 && extraBytes < EXTRA_BYTES_MIN_V3 ? completed(entry, diskBytes) : Buffer.from(entry),
    id: entry.toString('utf8', FIXED_BYTES + extraBytes, nameAt),
    name: entry.toString('utf8', nameAt),
    dateMs: entry.readUInt32BE(16) * 1000 + Math.floor(entry.readUInt32BE(20) / 1000) / 1000,
    clockNs: entry.readBigUInt64BE(24),
    vmStateBytes: number(0, entry.readUInt32BE(32)),
    diskBytes,
    icount: icount === NO_ICOUNT ? null : icount,
    extra: Uint8Array.from(extra.subarray(QEMU_EXTRA_BYTES)),
  };
}

/** Adds QEMU's fields to an entry that lacks them, as QEMU's own repair does. */
function completed(entry: Buffer, diskBytes: number): Buffer {
  const extraBytes = entry.readUInt32BE(36);
  const fixed = Buffer.from(entry.subarray(0, FIXED_BYTES));
  fixed.writeUInt32BE(QEMU_EXTRA_BYTES, 36);
  const extra = Buffer.alloc(QEMU_EXTRA_BYTES);
  const hasState = extraBytes >= 8;
  extra.writeBigUInt64BE(hasState ? entry.readBigUInt64BE(FIXED_BYTES) : BigInt(entry.readUInt32BE(32)), 0);
  extra.writeBigUInt64BE(BigInt(diskBytes), 8);
  extra.writeBigUInt64BE(NO_ICOUNT, 16);
  return Buffer.concat([fixed, extra, entry.subarray(FIXED_BYTES + extraBytes)]);
}

function encodeEntry(snapshot: SnapshotEntry, path: string): Buffer {
  const { stored } = snapshot;
  if (stored !== null) return Buffer.concat([stored, Buffer.alloc((8 - (stored.length % 8)) % 8)]);
  const id = Buffer.from(snapshot.id);
  const name = Buffer.from(snapshot.name);
  const extraBytes = QEMU_EXTRA_BYTES + snapshot.extra.length;
  if (id.length > NAME_BYTES_MAX || name.length > NAME_BYTES_MAX || extraBytes > EXTRA_BYTES_MAX) {
    const limits = `a name may have ${NAME_BYTES_MAX} bytes, extra data ${EXTRA_BYTES_MAX}`;
    const message = `${path}: a snapshot with a name of ${name.length} bytes and ${extraBytes} bytes of extra data; ${limits}.`;
    throw new BlockError('out_of_range', message);
  }
  const length = FIXED_BYTES + extraBytes + id.length + name.length;
  const entry = Buffer.alloc(Math.ceil(length / 8) * 8);
  const microseconds = Math.round(snapshot.dateMs * 1000);
  entry.writeBigUInt64BE(BigInt(snapshot.l1.offset), 0);
  entry.writeUInt32BE(snapshot.l1.entries, 8);
  entry.writeUInt16BE(id.length, 12);
  entry.writeUInt16BE(name.length, 14);
  entry.writeUInt32BE(Math.floor(microseconds / 1_000_000), 16);
  entry.writeUInt32BE((microseconds % 1_000_000) * 1000, 20);
  entry.writeBigUInt64BE(snapshot.clockNs, 24);
  entry.writeUInt32BE(snapshot.vmStateBytes < 2 ** 32 ? snapshot.vmStateBytes : 0, 32);
  entry.writeUInt32BE(extraBytes, 36);
  entry.writeBigUInt64BE(BigInt(snapshot.vmStateBytes), 40);
  entry.writeBigUInt64BE(BigInt(snapshot.diskBytes), 48);
  entry.writeBigUInt64BE(snapshot.icount ?? NO_ICOUNT, 56);
  entry.set(snapshot.extra, FIXED_BYTES + QEMU_EXTRA_BYTES);
  id.copy(entry, FIXED_BYTES + extraBytes);
  name.copy(entry, FIXED_BYTES + extraBytes + id.length);
  return entry;
}
