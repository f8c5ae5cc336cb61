import type { Committer } from './commit.ts';
import { replaceState, replaceTables } from './snapshot-changes.ts';
import { readSnapshotL1 } from './snapshot-reader.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import { ENTRY_BYTES, kindAt, movePointer, offsetAt } from './table-format.ts';
import { clustersOfTable, writeNewL1 } from './table-tree.ts';
import type { Volume } from './volume.ts';

/** A cluster to be moved, and the entries of L2 tables that point to it, as pairs of table and index. */
export type Candidate = { readonly offset: number; readonly pairs: readonly number[] };

type Move = Candidate & { readonly to: number; readonly count: number };

const COPY_BYTES_MAX = 2 ** 20;

/**
 * Moves clusters to free clusters before them, together with all entries that point to them. Copies and their counts
 * are stable before an entry in the file points to a copy, and an old count falls only when no entry in the file points
 * to the old cluster. In between both clusters have the same content and the full count, so a crash leaves leaked
 * clusters at most. The caller has the image alone. Candidates are in the order of their offsets, so that neighbours
 * stay neighbours.
 * @returns the number of moved clusters. A cluster with references that the candidate does not list is not moved.
 * @throws BlockError
 */
export async function moveClusters(
  volume: Volume,
  committer: Committer,
  candidates: readonly Candidate[],
): Promise<number> {
  await committer.commit();
  const moves: Move[] = [];
  try {
    for (const candidate of candidates) {
      const move = await placeFor(volume, candidate);
      if (move !== null) moves.push(move);
    }
    await copy(volume, moves);
  } catch (error) {
    for (const { to, count } of moves) for (let time = 0; time < count; time += 1) volume.refcounts?.lower(to);
    throw error;
  }
  for (const [table, entries] of byTable(moves)) {
    await volume.tables.update(table, (bytes) => {
      for (const { index, to } of entries) movePointer(bytes, index, to);
    });
    if (volume.tables.wantsWriting) await committer.commit();
  }
  for (const { offset, count } of moves) for (let time = 0; time < count; time += 1) volume.lowerLater(offset);
  volume.layout += 1;
  await committer.commit();
  return moves.length;
}

/** A free cluster before the candidate; null if there is none, or if the candidate does not list all references. */
async function placeFor(volume: Volume, candidate: Candidate): Promise<Move | null> {
  const { offset, pairs } = candidate;
  const { counts } = volume;
  const count = counts.get(offset);
  if (count === 0) return null;
  let references = 0;
  for (let at = 0; at < pairs.length; at += 2) {
    const table = pairs[at]!;
    if (counts.get(table) === 0) return null;
    const bytes = await volume.tables.get(table);
    const kind = kindAt(bytes, pairs[at + 1]!);
    if ((kind !== 'data' && kind !== 'zero') || offsetAt(bytes, pairs[at + 1]!) !== offset) return null;
    // An entry of a table counts once for each reference to the table.
    references += counts.get(table);
  }
  if (references !== count) return null;
  const to = counts.allocateBefore(offset, count);
  return to === null ? null : { ...candidate, to, count };
}

/** Clusters that are neighbours before and after the move are copied in one read and one write. */
async function copy(volume: Volume, moves: readonly Move[]): Promise<void> {
  const { clusterBytes } = volume.geometry;
  for (let from = 0; from < moves.length; ) {
    const { offset, to } = moves[from]!;
    let bytes = clusterBytes;
    let next = from + 1;
    while (bytes < COPY_BYTES_MAX && moves[next]?.offset === offset + bytes && moves[next]?.to === to + bytes) {
      bytes += clusterBytes;
      next += 1;
    }
    const content = Buffer.allocUnsafeSlow(bytes);
    await volume.file.read(offset, content);
    await volume.write(to, content);
    from = next;
  }
}

function byTable(moves: readonly Move[]): Map<number, { readonly index: number; readonly to: number }[]> {
  const tables = new Map<number, { readonly index: number; readonly to: number }[]>();
  for (const { pairs, to } of moves) {
    for (let at = 0; at < pairs.length; at += 2) {
      const entries = tables.get(pairs[at]!) ?? [];
      entries.push({ index: pairs[at + 1]!, to });
      tables.set(pairs[at]!, entries);
    }
  }
  return tables;
}

/** An entry of the L1 table of a snapshot, or of the active one (null). */
export type L1Reference = { readonly snapshot: SnapshotEntry | null; readonly index: number };

/** An L2 table to be moved, and the entries of L1 tables that point to it. */
export type TableCandidate = { readonly offset: number; readonly references: readonly L1Reference[] };

type TableMove = TableCandidate & { readonly to: number; readonly count: number };

/**
 * Moves L2 tables to free clusters before them: copies and counts are stable before an L1 entry points to them, and the
 * old counts fall when no entry in the file points there any more. The caller has the image alone.
 * @returns how many were moved.
 */
export async function moveL2Tables(
  volume: Volume,
  committer: Committer,
  candidates: readonly TableCandidate[],
): Promise<number> {
  await committer.commit();
  const moves: TableMove[] = [];
  try {
    for (const candidate of candidates) {
      const move = await placeForTable(volume, candidate);
      if (move === null) continue;
      moves.push(move);
      await volume.write(move.to, await volume.tables.get(move.offset));
    }
  } catch (error) {
    for (const { to, count } of moves) for (let time = 0; time < count; time += 1) volume.refcounts?.lower(to);
    throw error;
  }
  await committer.commit();
  for (const { references, to } of moves) {
    for (const reference of references) await pointTo(volume, reference, to);
  }
  // The L1 entries of snapshots have to be stable before a count falls; the commit does that for the active L1 table
  // only.
  await volume.sync();
  for (const { offset, count } of moves) for (let time = 0; time < count; time += 1) volume.lowerLater(offset);
  volume.layout += 1;
  await committer.commit();
  return moves.length;
}

async function placeForTable(volume: Volume, candidate: TableCandidate): Promise<TableMove | null> {
  const { offset, references } = candidate;
  const count = volume.counts.get(offset);
  if (count === 0 || references.length !== count) return null;
  for (const reference of references) if ((await entryOf(volume, reference)) !== offset) return null;
  const to = volume.counts.allocateBefore(offset, count);
  return to === null ? null : { ...candidate, to, count };
}

async function entryOf(volume: Volume, { snapshot, index }: L1Reference): Promise<number> {
  if (snapshot === null) return offsetAt(volume.l1, index);
  return offsetAt(await storedEntry(volume, snapshot, index), 0);
}

/** An entry of a snapshot's L1 table as the file has it. */
async function storedEntry({ file }: Volume, { l1 }: SnapshotEntry, index: number): Promise<Buffer> {
  const entry = Buffer.alloc(ENTRY_BYTES);
  await file.read(l1.offset + index * ENTRY_BYTES, entry);
  return entry;
}

async function pointTo(volume: Volume, { snapshot, index }: L1Reference, to: number): Promise<void> {
  if (snapshot === null) {
    movePointer(volume.l1, index, to);
    volume.touchL1(index);
    return;
  }
  const entry = await storedEntry(volume, snapshot, index);
  movePointer(entry, 0, to);
  await volume.writeTables([{ position: snapshot.l1.offset + index * ENTRY_BYTES, bytes: entry }]);
}

/**
 * Writes new copies of the image's own tables at or behind `from`: refcount blocks, L1 tables for which there is room
 * before the old ones, and always the snapshot table and the refcount table. One header write makes all of them valid.
 * The caller has the image alone.
 * @throws BlockError
 */
export async function moveImageTables(volume: Volume, committer: Committer, from: number): Promise<void> {
  await replaceState(volume, committer, async (last) => {
    const { counts, pointers } = volume;
    counts.free.forget();
    counts.touchBlocksFrom(from);
    const snapshots: SnapshotEntry[] = [];
    for (const entry of volume.snapshots) {
      snapshots.push(reaches(volume, entry.l1, from) ? await withMovedL1(volume, entry, last) : entry);
    }
    const l1 = reaches(volume, pointers.l1, from) ? volume.l1 : null;
    const tables = await replaceTables(volume, { l1, snapshots }, last);
    return { l1: volume.l1, snapshots, ...tables };
  });
  volume.layout += 1;
}

/** True if a part of the table lies at `from` or behind it, and there is room for a copy before the table. */
function reaches(volume: Volume, table: { offset: number; entries: number }, from: number): boolean {
  const { clusterBytes } = volume.geometry;
  const clusters = Math.ceil((table.entries * ENTRY_BYTES) / clusterBytes);
  if (clusters === 0 || table.offset + clusters * clusterBytes <= from) return false;
  return volume.counts.free.hasRoomBefore(table.offset, clusters);
}

async function withMovedL1(volume: Volume, entry: SnapshotEntry, last: number[]): Promise<SnapshotEntry> {
  const table = await readSnapshotL1(volume, entry);
  last.push(...clustersOfTable(volume, { offset: entry.l1.offset, bytes: table.length }));
  const l1 = { offset: await writeNewL1(volume, table), entries: entry.l1.entries };
  if (entry.stored === null) return { ...entry, l1 };
  const stored = Buffer.from(entry.stored);
  stored.writeBigUInt64BE(BigInt(l1.offset), 0);
  return { ...entry, l1, stored };
}
