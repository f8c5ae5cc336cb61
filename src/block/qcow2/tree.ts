import type { WorkMeter } from '../image.ts';
import { compressedAt, isCopied, kindAt, offsetAt, setCopied, setPointer } from './entries.ts';
import { ENTRY_BYTES, type Geometry } from './geometry.ts';
import type { Write } from './refcount-encoding.ts';
import type { Volume } from './volume.ts';

/*
 * A tree is an L1 table, the L2 tables it points to, and the clusters they point to. Each tree counts once for every
 * reference that it makes.
 */

/** Tables made anew are written in stretches of at most this, as they lie side by side as a rule. */
const WRITE_BYTES_MAX = 4 * 2 ** 20;

/** Calls `visit` with each cluster that an L2 entry refers to. */
export function forEachClusterOf(
  table: Buffer,
  index: number,
  visitor: { geometry: Geometry; visit: (offset: number) => void },
): void {
  const kind = kindAt(table, index);
  if (kind === 'unallocated') return;
  if (kind !== 'compressed') {
    const offset = offsetAt(table, index);
    if (offset !== 0) visitor.visit(offset);
    return;
  }
  const { clusterBytes } = visitor.geometry;
  const { offset, bytes } = compressedAt(table, index, visitor.geometry);
  const first = Math.floor(offset / clusterBytes) * clusterBytes;
  for (let cluster = first; cluster < offset + bytes; cluster += clusterBytes) visitor.visit(cluster);
}

/** Collects tables that nothing points to yet and writes neighbours together. */
export class TableWriter {
  readonly #volume: Volume;
  #pending: Write[] = [];
  #bytes = 0;

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  async add(write: Write): Promise<void> {
    this.#pending.push(write);
    this.#bytes += write.bytes.length;
    if (this.#bytes >= WRITE_BYTES_MAX) await this.flush();
  }

  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    this.#bytes = 0;
    for (let index = 0; index < pending.length; ) {
      const { position } = pending[index]!;
      const bytes: Buffer[] = [];
      for (let end = position; pending[index]?.position === end; index += 1) {
        bytes.push(pending[index]!.bytes);
        end += pending[index]!.bytes.length;
      }
      await this.#volume.write(position, bytes.length === 1 ? bytes[0]! : Buffer.concat(bytes));
    }
  }
}

/** Writes an L1 table to clusters of its own. @returns its offset. */
export async function writeNewL1(volume: Volume, l1: Buffer): Promise<number> {
  // The table of an empty disk has no entries, so nothing would ever refer to a cluster for it.
  if (l1.length === 0) return 0;
  const clusters = Math.ceil(l1.length / volume.geometry.clusterBytes);
  const offset = volume.counts.allocate(clusters);
  const padded = Buffer.alloc(clusters * volume.geometry.clusterBytes);
  l1.copy(padded);
  await volume.write(offset, padded);
  return offset;
}

/**
 * Writes a second tree with the same content as the first `entries` of `l1`: L2 tables of its own, the clusters
 * shared, so without COPIED. What it shares is counted once more.
 * @returns the new L1 table, which is not written yet.
 */
export async function copyTree(volume: Volume, l1: Buffer, entries: number): Promise<Buffer> {
  const { geometry, counts } = volume;
  const copy = Buffer.alloc(entries * ENTRY_BYTES);
  const writer = new TableWriter(volume);
  const visitor = { geometry, visit: (offset: number) => counts.raise(offset) };
  for (let index = 0; index < Math.min(entries, l1.length / ENTRY_BYTES); index += 1) {
    const from = offsetAt(l1, index);
    if (from === 0) continue;
    const table = Buffer.from(await volume.tables.get(from));
    for (let entry = 0; entry < geometry.tableEntries; entry += 1) {
      forEachClusterOf(table, entry, visitor);
      setCopied(table, entry, false);
    }
    const offset = counts.allocate(1);
    await writer.add({ position: offset, bytes: table });
    setPointer(copy, index, { offset, copied: true });
  }
  await writer.flush();
  return copy;
}

/**
 * Takes away every reference that the entries of `l1` from `first` on make. A cluster's last reference is not taken but put
 * into `last`: the file may need it still.
 */
export async function lowerTree(
  volume: Volume,
  tree: { l1: Buffer; first: number; meter?: WorkMeter | undefined },
  last: number[],
): Promise<void> {
  const { geometry } = volume;
  const visitor = { geometry, visit: (offset: number) => lowerButLast(volume, offset, last) };
  for (let index = tree.first; index < tree.l1.length / ENTRY_BYTES; index += 1) {
    // Also of a table that is not there: how many are is not known before.
    tree.meter?.addCurrent(geometry.clusterBytes);
    const offset = offsetAt(tree.l1, index);
    if (offset === 0) continue;
    const table = await volume.tables.get(offset);
    for (let entry = 0; entry < geometry.tableEntries; entry += 1) forEachClusterOf(table, entry, visitor);
    lowerButLast(volume, offset, last);
  }
}

export function lowerButLast(volume: Volume, offset: number, last: number[]): void {
  if (volume.counts.get(offset) > 1) volume.counts.lower(offset);
  else last.push(offset);
}

/** Every cluster of a table that lies in a row, such as an L1 table or the snapshot table. */
export function clustersOfTable(volume: Volume, table: { offset: number; bytes: number }): number[] {
  const { clusterBytes } = volume.geometry;
  const clusters: number[] = [];
  for (let at = 0; at < table.bytes; at += clusterBytes) clusters.push(table.offset + at);
  return clusters;
}

/** Clusters that nothing but a snapshot may use. */
type ReservedClusters = {
  /** @throws BlockError if the cluster at `offset`, used as `use` says, is one of them. */
  refuse(offset: number, use: string): void;
};

/**
 * After counts have fallen: the active tables with COPIED where a cluster has one reference left. Tables that change
 * are written anew; `last` gets those that they take the place of.
 * @returns the new L1 table, not written yet, or null if nothing changes.
 * @throws BlockError if the active disk uses what only the snapshot that goes should.
 */
export async function markCopied(volume: Volume, own: ReservedClusters, last: number[]): Promise<Buffer | null> {
  const { geometry, counts } = volume;
  const visitor = { geometry, visit: (offset: number) => own.refuse(offset, 'data of the disk') };
  const writer = new TableWriter(volume);
  const l1 = Buffer.from(volume.l1);
  for (let index = 0; index < l1.length / ENTRY_BYTES; index += 1) {
    const from = offsetAt(l1, index);
    if (from === 0) continue;
    const table = withCopied(volume, await volume.tables.get(from));
    if (table === null) setCopied(l1, index, counts.get(from) === 1);
    else {
      const offset = counts.allocate(1);
      await writer.add({ position: offset, bytes: table });
      setPointer(l1, index, { offset, copied: true });
      lowerButLast(volume, from, last);
    }
  }
  await writer.flush();
  return l1.equals(volume.l1) ? null : l1;

  function withCopied({ counts }: Volume, table: Buffer): Buffer | null {
    let changed: Buffer | null = null;
    for (let entry = 0; entry < geometry.tableEntries; entry += 1) {
      const kind = kindAt(table, entry);
      forEachClusterOf(table, entry, visitor);
      const offset = kind === 'data' || kind === 'zero' ? offsetAt(table, entry) : 0;
      if (offset === 0 || (counts.get(offset) === 1) === isCopied(table, entry)) continue;
      changed ??= Buffer.from(table);
      setCopied(changed, entry, counts.get(offset) === 1);
    }
    return changed;
  }
}
