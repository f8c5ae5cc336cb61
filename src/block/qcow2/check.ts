import { Claims } from './claims.ts';
import { Counts } from './counts.ts';
import {
  compressedAt,
  isCopied,
  kindAt,
  l1Fault,
  offsetAt,
  refcountBlockOffsetAt,
  refcountTableFault,
} from './entries.ts';
import { ENTRY_BYTES, FILE_CLUSTERS_MAX } from './geometry.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import { alignmentFault, entryError, readTable } from './table-checks.ts';
import type { Volume } from './volume.ts';

/** Flags of tables that the counts contradict, by the table's offset; the active L1 is told apart by `null`. */
export type CopiedFault = { readonly table: number | null; readonly index: number; readonly copied: boolean };

export type CheckedImage = {
  /** References as they are, which is what the counts should be. */
  readonly counts: Counts;
  /** Offset of each refcount block, 0 for none. */
  readonly blocks: number[];
  readonly copiedFaults: readonly CopiedFault[];
};

/** Faults of flags are listed one by one up to here; an image with more is beyond repair. */
const COPIED_FAULTS_MAX = 1_000_000;

type L1 = { readonly offset: number; readonly table: Buffer };

/**
 * Reads all tables of an image and computes what its reference counts and COPIED flags have to be. Every L2 table is read
 * once (those of the active disk twice), however many L1 tables share it.
 * @param snapshots those that are looked at: all of the image, if nothing else is said.
 * @throws BlockError if anything overlaps, lies outside the file, is unaligned or has reserved bits set.
 */
export async function checkImage(
  volume: Volume,
  { snapshots }: { readonly snapshots: readonly SnapshotEntry[] } = volume,
): Promise<CheckedImage> {
  const { file, geometry, pointers, snapshotTableBytes } = volume;
  const claims = new Claims({ file, geometry, counts: new Counts() });
  claims.claim('header', { offset: 0, bytes: Math.min(geometry.clusterBytes, file.bytes) });
  const blocks = await claimRefcounts(volume, claims);
  if (snapshotTableBytes > 0 && snapshots === volume.snapshots) {
    await claims.pace(snapshotTableBytes);
    claims.claim('snapshot table', { offset: pointers.snapshotTable.offset, bytes: snapshotTableBytes });
  }
  const l1s = await claimL1s(volume, claims, snapshots);
  const tables = await referToTables(volume, claims, l1s);
  const faults: CopiedFault[] = [];
  for (const offset of tables) await referToClusters(volume, claims, { offset, faults });
  assertCountable(volume, claims);
  await checkCopied(volume, claims, faults);
  return { counts: claims.counts, blocks, copiedFaults: faults };
}

async function claimRefcounts(volume: Volume, claims: Claims): Promise<number[]> {
  const { file, geometry } = volume;
  const { offset, entries } = volume.pointers.refcountTable;
  const bytes = entries * ENTRY_BYTES;
  claims.claim('refcount table', { offset, bytes });
  const table = Buffer.allocUnsafeSlow(bytes);
  await claims.pace(bytes);
  await file.read(offset, table);
  const blocks: number[] = [];
  let counted = 0;
  for (let index = 0; index < entries; index += 1) {
    const block = refcountBlockOffsetAt(table, index);
    const fault = refcountTableFault(table, index) ?? alignmentFault(block, geometry);
    if (fault !== null) throw entryError(file, { name: 'refcount table', at: offset, index, fault });
    if (block === 0) continue;
    claims.claim('refcount block', { offset: block, bytes: geometry.clusterBytes });
    await claims.pace(0);
    while (blocks.length < index) blocks.push(0);
    blocks[index] = block;
    counted += geometry.countsPerBlock;
    if (counted > 2 * FILE_CLUSTERS_MAX + geometry.countsPerBlock) {
      throw claims.tooLarge(`its refcount blocks count more than ${2 * FILE_CLUSTERS_MAX} clusters`);
    }
  }
  return blocks;
}

async function claimL1s(volume: Volume, claims: Claims, snapshots: readonly SnapshotEntry[]): Promise<L1[]> {
  const { file, pointers } = volume;
  const places = [
    { ...pointers.l1, name: 'active L1 table' },
    ...snapshots.map(({ id, l1 }) => ({ ...l1, name: `L1 table of snapshot ${id}` })),
  ];
  const l1s: L1[] = [];
  for (const { offset, entries, name } of places) {
    const bytes = entries * ENTRY_BYTES;
    if (bytes === 0) continue;
    claims.claim('L1 table', { name, offset, bytes });
    await claims.pace(bytes);
    const table = Buffer.allocUnsafeSlow(bytes);
    await file.read(offset, table);
    l1s.push({ offset, table });
  }
  return l1s;
}

/** @returns the offsets of all L2 tables, each once. */
async function referToTables(volume: Volume, claims: Claims, l1s: readonly L1[]): Promise<number[]> {
  const { file, geometry } = volume;
  const tables: number[] = [];
  for (const { offset: at, table } of l1s) {
    for (let index = 0; index < table.length / ENTRY_BYTES; index += 1) {
      const offset = offsetAt(table, index);
      const fault = l1Fault(table, index) ?? alignmentFault(offset, geometry);
      if (fault !== null) throw entryError(file, { name: 'L1 table', at, index, fault });
      if (offset === 0) continue;
      if (offset + geometry.clusterBytes > file.bytes) await readTable(volume, offset);
      if (claims.refer('L2 table', offset, 1)) tables.push(offset);
    }
    await claims.pace(0);
  }
  return tables;
}

async function referToClusters(
  volume: Volume,
  claims: Claims,
  of: { offset: number; faults: CopiedFault[] },
): Promise<void> {
  const { geometry } = volume;
  await claims.pace(geometry.clusterBytes);
  const table = await readTable(volume, of.offset);
  const times = claims.counts.get(of.offset / geometry.clusterBytes);
  for (let index = 0; index < geometry.tableEntries; index += 1) {
    const kind = kindAt(table, index);
    if (kind === 'unallocated') continue;
    if (kind !== 'compressed') {
      const offset = offsetAt(table, index);
      if (offset !== 0) claims.refer('guest data', offset, times);
      continue;
    }
    if (isCopied(table, index)) addFault(claims, of.faults, { table: of.offset, index, copied: false });
    const { offset, bytes } = compressedAt(table, index, geometry);
    const first = Math.floor(offset / geometry.clusterBytes) * geometry.clusterBytes;
    for (let at = first; at < offset + bytes; at += geometry.clusterBytes) claims.refer('compressed data', at, times);
  }
}

function assertCountable(volume: Volume, claims: Claims): void {
  const { countMax, clusterBytes } = volume.geometry;
  for (const { first, counts } of claims.counts.stretches()) {
    const index = counts.findIndex((count) => count > countMax || count === 2 ** 32 - 1);
    if (index < 0) continue;
    const offset = (first + index) * clusterBytes;
    throw claims.corrupt(`the cluster at ${offset} has more references than its count has room for (${countMax})`);
  }
}

async function checkCopied(volume: Volume, claims: Claims, faults: CopiedFault[]): Promise<void> {
  const { geometry, l1 } = volume;
  const isSingle = (offset: number) => claims.counts.get(offset / geometry.clusterBytes) === 1;
  for (let entry = 0; entry < l1.length / ENTRY_BYTES; entry += 1) {
    const offset = offsetAt(l1, entry);
    if (offset === 0) continue;
    if (isCopied(l1, entry) !== isSingle(offset)) {
      addFault(claims, faults, { table: null, index: entry, copied: isSingle(offset) });
    }
    await claims.pace(geometry.clusterBytes);
    const table = await readTable(volume, offset);
    for (let index = 0; index < geometry.tableEntries; index += 1) {
      const kind = kindAt(table, index);
      if (kind !== 'data' && kind !== 'zero') continue;
      const cluster = offsetAt(table, index);
      if (cluster === 0 || isCopied(table, index) === isSingle(cluster)) continue;
      addFault(claims, faults, { table: offset, index, copied: isSingle(cluster) });
    }
  }
}

function addFault(claims: Claims, faults: CopiedFault[], fault: CopiedFault): void {
  faults.push(fault);
  if (faults.length > COPIED_FAULTS_MAX) throw claims.corrupt(`more than ${COPIED_FAULTS_MAX} COPIED flags are wrong`);
}
