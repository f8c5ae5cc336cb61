import { BlockError } from '../image.ts';
import type { BlockFile } from '../image-file.ts';
import { Counts } from './cluster-counts.ts';
import { alignmentFault, assertInside, entryError, readTable } from './l2-tables.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import {
  compressedAt,
  ENTRY_BYTES,
  FILE_CLUSTERS_MAX,
  type Geometry,
  isCopied,
  kindAt,
  l1Fault,
  METADATA_BYTES_MAX,
  offsetAt,
  refcountBlockOffsetAt,
  refcountTableFault,
} from './table-format.ts';
import type { Volume } from './volume.ts';

/** A COPIED flag that contradicts the counts. `table`: offset of the table, null for the active L1 table. */
export type CopiedFault = { readonly table: number | null; readonly index: number; readonly copied: boolean };

export type CheckedImage = {
  /** The references that were found: the correct counts. */
  readonly counts: Counts;
  /** Offset of each refcount block, 0 for none. */
  readonly blocks: number[];
  readonly copiedFaults: readonly CopiedFault[];
};

/** Most wrong flags that are listed; an image with more cannot be repaired here. */
const COPIED_FAULTS_MAX = 1_000_000;

type L1 = { readonly offset: number; readonly table: Buffer };

/**
 * Reads all tables of an image and computes the correct reference counts and COPIED flags. Every L2 table is read once,
 * or twice if the active disk uses it, even if several L1 tables share it.
 * @param snapshots the snapshots to check; default: all.
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

/** Counts the references to L2 tables. @returns the offsets of all L2 tables, each once. */
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

/** Uses of a cluster; each cluster has exactly one. */
const USES = [
  'nothing',
  'header',
  'refcount table',
  'refcount block',
  'snapshot table',
  'L1 table',
  'L2 table',
  'guest data',
  'compressed data',
] as const;
type Use = (typeof USES)[number];

const PAGE_CLUSTERS = 32_768;
/** Bytes of tables that are checked before other work of the thread gets a chance to run. */
const PACE_BYTES = 2 * 2 ** 20;
const COUNT_MAX = 2 ** 32 - 1;

/**
 * The use of every cluster during a check. Counts references, refuses overlaps, and limits the time and memory of the
 * check.
 */
export class Claims {
  readonly counts: Counts;
  readonly #file: BlockFile;
  readonly #geometry: Geometry;
  readonly #uses = new Map<number, Uint8Array>();
  #metadataBytes = 0;
  #sincePause = 0;

  constructor(options: { file: BlockFile; geometry: Geometry; counts: Counts }) {
    this.counts = options.counts;
    this.#file = options.file;
    this.#geometry = options.geometry;
    if (options.file.bytes / options.geometry.clusterBytes <= FILE_CLUSTERS_MAX) return;
    const limit = `${FILE_CLUSTERS_MAX} clusters of ${options.geometry.clusterBytes} bytes are allowed`;
    throw this.tooLarge(`the file has ${options.file.bytes} bytes; ${limit}`);
  }

  /** Registers a structure that shares its clusters with no other. @throws BlockError if it overlaps another one. */
  claim(use: Use, part: { name?: string; offset: number; bytes: number }): void {
    assertInside(this.#file, { name: part.name ?? use, offset: part.offset, bytes: part.bytes });
    const { clusterBytes } = this.#geometry;
    for (let offset = part.offset; offset < part.offset + part.bytes; offset += clusterBytes) {
      if (this.#useOf(offset) !== 0) throw this.#overlap(offset, use);
      this.refer(use, offset, 1);
    }
  }

  /** Adds `times` references of one use to a cluster. @returns true if the cluster had no reference before. */
  refer(use: Use, offset: number, times: number): boolean {
    const cluster = Math.floor(offset / this.#geometry.clusterBytes);
    const page = Math.floor(cluster / PAGE_CLUSTERS);
    let uses = this.#uses.get(page);
    if (uses === undefined) {
      uses = new Uint8Array(PAGE_CLUSTERS);
      this.#uses.set(page, uses);
    }
    const code = USES.indexOf(use);
    const before = uses[cluster % PAGE_CLUSTERS]!;
    if (before !== 0 && before !== code) throw this.#overlap(offset, use);
    uses[cluster % PAGE_CLUSTERS] = code;
    this.counts.set(cluster, Math.min(COUNT_MAX, this.counts.get(cluster) + times));
    return before === 0;
  }

  /** Called before each table is read: limits the sum of bytes, and lets other work of the thread run. */
  async pace(bytes: number): Promise<void> {
    this.#metadataBytes += bytes;
    if (this.#metadataBytes > METADATA_BYTES_MAX) {
      throw this.tooLarge(`its tables have more than ${METADATA_BYTES_MAX} bytes in all, which is the limit`);
    }
    this.#sincePause += bytes;
    if (this.#sincePause < PACE_BYTES) return;
    this.#sincePause = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }

  corrupt(what: string): BlockError {
    return new BlockError('image_corrupt', `${this.#file.path}: ${what}.`);
  }

  tooLarge(what: string): BlockError {
    return new BlockError('image_too_large', `${this.#file.path}: ${what}.`);
  }

  #useOf(offset: number): number {
    const cluster = Math.floor(offset / this.#geometry.clusterBytes);
    return this.#uses.get(Math.floor(cluster / PAGE_CLUSTERS))?.[cluster % PAGE_CLUSTERS] ?? 0;
  }

  #overlap(offset: number, use: Use): BlockError {
    const other = USES[this.#useOf(offset)] ?? 'nothing';
    return this.corrupt(`the cluster at ${offset} is used as ${other} and as ${use}`);
  }
}
