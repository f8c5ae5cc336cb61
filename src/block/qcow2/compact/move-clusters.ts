import type { Committer } from '../commit.ts';
import { kindAt, movePointer, offsetAt } from '../entries.ts';
import type { Volume } from '../volume.ts';

/** A cluster to be moved, and the entries of L2 tables that point to it, as pairs of table and index. */
export type Candidate = { readonly offset: number; readonly pairs: readonly number[] };

type Move = Candidate & { readonly to: number; readonly count: number };

const COPY_BYTES_MAX = 2 ** 20;

/**
 * Moves clusters to free clusters before them, together with all entries that point to them. Copies and their counts are
 * stable before an entry in the file points to a copy, and an old count falls only when no entry in the file points to the
 * old cluster. In between both clusters have the same content and the full count, so a crash leaves leaked clusters at most.
 * The caller has the image alone. Candidates are in the order of their offsets, so that neighbours stay neighbours.
 * @returns how many were moved. A cluster with references that the candidate does not list is not moved.
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
