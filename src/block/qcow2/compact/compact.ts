import type { CompactionPace } from '../../image.ts';
import type { Committer } from '../commit.ts';
import { reclaim } from '../reclaim.ts';
import type { Volume } from '../volume.ts';
import { type Candidate, moveClusters } from './move-clusters.ts';
import { moveImageTables, moveL2Tables, type TableCandidate } from './move-tables.ts';
import { findReferences, imageTables, type References } from './references.ts';

/** References that are looked for at a time: bounds the memory of a compaction to some ten MiB. */
const REFERENCES_MAX = 2 ** 17;
/** Moved while the guest's requests wait. */
const BATCH_BYTES = 8 * 2 ** 20;
const BATCH_CLUSTERS_MAX = 1024;
/** Rounds without a shorter file before no more is tried: the guest may have changed what was found. */
const VAIN_ROUNDS_MAX = 3;
/** Free stretches that are given back while the guest's requests wait. */
const HOLES_MAX = 64;
const HOLE_BYTES_MAX = 64 * 2 ** 20;

/**
 * Shortens an image file to the clusters that it uses. Used clusters at the end of the file are moved into free clusters
 * before them, the file is cut behind the last used cluster, and the remaining free clusters become holes. The guest may use
 * the disk meanwhile: each step has the image alone and leaves it valid. If `pace.breathe` throws, the moves of earlier
 * steps stay.
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
 * The used clusters that one round moves: those behind the length that the file would have without free clusters, or the
 * last of them if they have too many references. Null if there are none.
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

/** Batches of at most so many, the last ones first, each in its order. */
function* batches<One>(all: readonly One[], count: number): Iterable<readonly One[]> {
  for (let end = all.length; end > 0; end -= count) yield all.slice(Math.max(0, end - count), end);
}

/**
 * The clusters that can be moved, in the order of their offsets. Clusters before the last one that cannot be moved are left
 * out, because moving them would not make the file shorter.
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
 * How many clusters of the image's own tables are to be moved. The new tables need room beside the old ones for a moment:
 * if the old ones lie near the end of the used clusters, the new ones would lie behind them, and the answer is 0.
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

/** @returns where to go on, or null at the end. */
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
