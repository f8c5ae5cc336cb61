import type { CompactionPace } from '../image.ts';
import { type Committer, reclaim } from './commit.ts';
import {
  type Candidate,
  type L1Reference,
  moveClusters,
  moveImageTables,
  moveL2Tables,
  type TableCandidate,
} from './move-clusters.ts';
import { readSnapshotL1 } from './snapshot-reader.ts';
import { compressedAt, ENTRY_BYTES, kindAt, offsetAt } from './table-format.ts';
import { clustersOfTable } from './table-tree.ts';
import type { Volume } from './volume.ts';

/** Most references that one round collects: limits the memory of a compaction to about ten MiB. */
const REFERENCES_MAX = 2 ** 17;
/** Most bytes that are moved while the guest's requests wait. */
const BATCH_BYTES = 8 * 2 ** 20;
const BATCH_CLUSTERS_MAX = 1024;
/**
 * The compaction ends after this many rounds that did not shorten the file: the guest changes clusters during a round.
 */
const VAIN_ROUNDS_MAX = 3;
/** Most holes that are made while the guest's requests wait. */
const HOLES_MAX = 64;
const HOLE_BYTES_MAX = 64 * 2 ** 20;

/**
 * Shortens an image file to the clusters that it uses. Used clusters at the end of the file are moved into free
 * clusters before them, the file is cut behind the last used cluster, and the remaining free clusters become holes. The
 * guest may use the disk during the compaction: each step has the image alone and leaves it valid. If `pace.breathe`
 * throws, the moves of earlier steps are kept.
 * @returns bytes moved.
 * @throws BlockError
 */
export async function compact(volume: Volume, committer: Committer, pace: CompactionPace): Promise<number> {
  let moved = 0;
  await volume.alone(() => tidy(volume, committer));
  for (let vain = 0; vain < VAIN_ROUNDS_MAX; ) {
    const end = volume.counts.end();
    const window = windowBefore(volume, end);
    if (window === null) break;
    pace.addTotal(window.bytes);
    moved += await moveWindow(volume, committer, { ...window, pace });
    vain = volume.counts.end() < end ? 0 : vain + 1;
  }
  await punchFree(volume, pace);
  return moved;
}

/** Writes all changed tables, and gives freed clusters back to the file system. */
async function tidy(volume: Volume, committer: Committer): Promise<void> {
  await committer.commit();
  await reclaim(volume);
}

type Window = { readonly from: number; readonly bytes: number };

/**
 * The used clusters that one round moves: the clusters behind the length that the file would have without free
 * clusters, or only the last of them if they have too many references. Null if there are none.
 */
function windowBefore(volume: Volume, end: number): Window | null {
  const { free } = volume.counts;
  const shortest = free.usedBytes();
  let references = 0;
  let from: number | null = null;
  let bytes = 0;
  for (let at = free.lastUsedBefore(end); at !== null && at >= shortest; at = free.lastUsedBefore(at)) {
    references += volume.counts.get(at);
    if (references > REFERENCES_MAX && from !== null) break;
    from = at;
    bytes += volume.geometry.clusterBytes;
  }
  return from === null ? null : { from, bytes };
}

type Round = Window & { readonly pace: CompactionPace };

async function moveWindow(volume: Volume, committer: Committer, { from, bytes, pace }: Round): Promise<number> {
  const { clusterBytes } = volume.geometry;
  const batchClusters = Math.min(BATCH_CLUSTERS_MAX, Math.max(1, Math.floor(BATCH_BYTES / clusterBytes)));
  const references = await findReferences(volume, from, () => pace.breathe());
  const { data, tables } = await volume.alone(async () => candidates(volume, from, references));
  let moved = 0;
  let left = bytes;
  const step = async (work: () => Promise<number>, clusters: number): Promise<void> => {
    await pace.breathe();
    await volume.alone(async () => {
      moved += await work();
      await reclaim(volume);
    });
    const done = Math.min(left, clusters * clusterBytes);
    pace.addCurrent(done);
    left -= done;
  };
  // The last clusters first: if the compaction is ended here, the file is already shorter.
  for (const batch of batches(data, batchClusters))
    await step(() => moveClusters(volume, committer, batch), batch.length);
  for (const batch of batches(tables, batchClusters))
    await step(() => moveL2Tables(volume, committer, batch), batch.length);
  await step(async () => {
    const clusters = tablesWorthMoving(volume, from);
    if (clusters > 0) await moveImageTables(volume, committer, from);
    return clusters;
  }, 0);
  pace.addCurrent(left);
  return moved * clusterBytes;
}

/** Batches of at most `count` elements, the last batch first; each batch keeps the order of its elements. */
function* batches<One>(all: readonly One[], count: number): Iterable<readonly One[]> {
  for (let end = all.length; end > 0; end -= count) yield all.slice(Math.max(0, end - count), end);
}

/**
 * The clusters that can be moved, in the order of their offsets. Clusters before the last one that cannot be moved are
 * left out, because moving them would not make the file shorter.
 */
function candidates(volume: Volume, from: number, references: References) {
  const { counts } = volume;
  const own = imageTables(volume, from);
  const data: Candidate[] = [];
  const tables: TableCandidate[] = [];
  for (
    let at = counts.free.lastUsedBefore(counts.end());
    at !== null && at >= from;
    at = counts.free.lastUsedBefore(at)
  ) {
    const pairs = references.clusters.get(at);
    const entries = references.tables.get(at);
    if (at < references.compressedEnd) break;
    if (own.has(at)) continue;
    if (entries !== undefined) tables.push({ offset: at, references: entries });
    else if (pairs !== undefined) data.push({ offset: at, pairs });
    else break;
  }
  return { data: data.reverse(), tables: tables.reverse() };
}

/**
 * How many clusters of the image's own tables are to be moved. The new tables need room beside the old ones for a
 * moment: if the old ones lie near the end of the used clusters, the new ones would lie behind them, and the answer is
 * 0.
 */
function tablesWorthMoving(volume: Volume, from: number): number {
  const { clusterBytes } = volume.geometry;
  const own = imageTables(volume, from);
  const replaced = own.size + volume.counts.place.entries / volume.geometry.tableEntries;
  const needed = replaced + Math.ceil(volume.snapshotTableBytes / clusterBytes) + 1;
  const last = Math.max(0, ...own);
  return last > volume.counts.free.usedBytes() + 2 * needed * clusterBytes ? own.size : 0;
}

/** Makes holes of all free clusters: another program may have freed clusters and left their content in the file. */
async function punchFree(volume: Volume, pace: CompactionPace): Promise<void> {
  for (let at: number | null = 0; at !== null; ) {
    await pace.breathe();
    const from: number = at;
    at = await volume.alone(() => punchFrom(volume, from));
  }
}

/** Makes a limited number of holes. @returns the offset at which to continue, or null at the end. */
async function punchFrom({ counts, file }: Volume, from: number): Promise<number | null> {
  let at = from;
  let left = HOLE_BYTES_MAX;
  for (let hole = 0; hole < HOLES_MAX && left > 0; hole += 1) {
    const stretch = counts.free.stretchFrom(at, left);
    if (stretch === null) return null;
    await file.punchHole(stretch.offset, stretch.bytes);
    at = stretch.offset + stretch.bytes;
    left -= stretch.bytes;
  }
  return at;
}

/**
 * The table entries that point to clusters at or behind `from`. The list may be out of date, because the guest changes
 * tables during the search: before a cluster is moved, its entries are compared with the tables again.
 */
export type References = {
  /** Entries of L2 tables by the offset of their cluster: a flat list of pairs, offset of the table and index. */
  readonly clusters: ReadonlyMap<number, readonly number[]>;
  /** Entries of L1 tables by the offset of their L2 table. */
  readonly tables: ReadonlyMap<number, readonly L1Reference[]>;
  /** Offset behind the last cluster with compressed data: such clusters cannot be moved. */
  readonly compressedEnd: number;
};

type Found = {
  readonly from: number;
  readonly clusters: Map<number, number[]>;
  readonly tables: Map<number, L1Reference[]>;
  compressedEnd: number;
};

/** Reads every table of the image, one at a time; the guest's requests run between two tables. */
export async function findReferences(volume: Volume, from: number, breathe: () => Promise<void>): Promise<References> {
  const found: Found = { from, clusters: new Map(), tables: new Map(), compressedEnd: 0 };
  const seen = new Set<number>();
  for (const snapshot of [null, ...volume.snapshots]) {
    const own = snapshot === null ? null : await volume.alone(() => readSnapshotL1(volume, snapshot));
    const entries = (own ?? volume.l1).length / ENTRY_BYTES;
    for (let index = 0; index < entries; index += 1) {
      if (offsetAt(own ?? volume.l1, index) === 0) continue;
      await breathe();
      await volume.alone(async () => {
        const offset = offsetAt(own ?? volume.l1, index);
        if (offset >= from) add(found.tables, offset, { snapshot, index });
        if (offset === 0 || seen.has(offset)) return;
        seen.add(offset);
        readEntries(volume, { offset, table: await volume.tables.fresh(offset) }, found);
      });
    }
  }
  return found;
}

/** Offsets of the clusters at or behind `from` with refcounts, L1 tables and the snapshot table. */
export function imageTables(volume: Volume, from: number): Set<number> {
  const { counts, pointers, snapshotTableBytes } = volume;
  const l1s = [pointers.l1, ...volume.snapshots.map(({ l1 }) => l1)];
  const places = [
    { offset: pointers.snapshotTable.offset, bytes: snapshotTableBytes },
    ...l1s.map(({ offset, entries }) => ({ offset, bytes: entries * ENTRY_BYTES })),
  ];
  const found = new Set<number>();
  for (const cluster of counts.ownClusters()) if (cluster >= from) found.add(cluster);
  for (const place of places) {
    for (const cluster of clustersOfTable(volume, place)) if (cluster >= from) found.add(cluster);
  }
  return found;
}

function readEntries({ geometry }: Volume, of: { offset: number; table: Buffer }, found: Found): void {
  const { offset: at, table } = of;
  for (let index = 0; index < geometry.tableEntries; index += 1) {
    const kind = kindAt(table, index);
    if (kind === 'unallocated') continue;
    if (kind === 'compressed') {
      const { offset, bytes } = compressedAt(table, index, geometry);
      found.compressedEnd = Math.max(found.compressedEnd, offset + bytes);
      continue;
    }
    const offset = offsetAt(table, index);
    if (offset === 0 || offset < found.from) continue;
    const pairs = found.clusters.get(offset);
    if (pairs === undefined) found.clusters.set(offset, [at, index]);
    else pairs.push(at, index);
  }
}

function add<Value>(map: Map<number, Value[]>, key: number, value: Value): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
