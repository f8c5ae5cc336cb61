import type { WorkMeter } from '../image.ts';
import {
  compressedAt,
  ENTRY_BYTES,
  type Geometry,
  isCopied,
  kindAt,
  offsetAt,
  setCopied,
  setPointer,
  type Write,
} from './table-format.ts';
import type { Volume } from './volume.ts';

/*
 * A tree is an L1 table, the L2 tables that it points to, and the clusters that they point to. Every pointer of a tree
 * is one reference.
 */

/** Most bytes of new tables that one write contains: new tables are usually adjacent. */
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

/** Collects new tables, which no table points to yet, and writes adjacent ones together. */
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

/** Writes an L1 table to new clusters. @returns its offset. */
export async function writeNewL1(volume: Volume, l1: Buffer): Promise<number> {
  // The L1 table of an empty disk has no entries and needs no cluster.
  if (l1.length === 0) return 0;
  const clusters = Math.ceil(l1.length / volume.geometry.clusterBytes);
  const offset = volume.counts.allocate(clusters);
  const padded = Buffer.alloc(clusters * volume.geometry.clusterBytes);
  l1.copy(padded);
  await volume.write(offset, padded);
  return offset;
}

/**
 * Writes a second tree with the content of the first `entries` of `l1`: new L2 tables without COPIED flags, and one
 * more reference to every shared cluster.
 * @returns the new L1 table, which is not yet written.
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
 * Removes every reference that the entries of `l1` from `first` on make. A cluster with only one reference keeps it and
 * is added to `last`, because the file may still use it.
 */
export async function lowerTree(
  volume: Volume,
  tree: { l1: Buffer; first: number; meter?: WorkMeter | undefined },
  last: number[],
): Promise<void> {
  const { geometry } = volume;
  const visitor = { geometry, visit: (offset: number) => lowerButLast(volume, offset, last) };
  for (let index = tree.first; index < tree.l1.length / ENTRY_BYTES; index += 1) {
    // Also for an empty entry: the total counts every entry as a table.
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

/** The offsets of all clusters of a contiguous table, such as an L1 table or the snapshot table. */
export function clustersOfTable(volume: Volume, table: { offset: number; bytes: number }): number[] {
  const { clusterBytes } = volume.geometry;
  const clusters: number[] = [];
  for (let at = 0; at < table.bytes; at += clusterBytes) clusters.push(table.offset + at);
  return clusters;
}

/** Clusters that only one snapshot may use. */
type ReservedClusters = {
  /** @throws BlockError if the cluster at `offset` is one of them. @param use the other use of the cluster. */
  refuse(offset: number, use: string): void;
};

/**
 * Sets COPIED in the active tables for clusters that have one reference after counts were lowered. Changed tables are
 * written to new clusters, and the old ones are added to `last`.
 * @returns the new L1 table, not yet written; null if nothing changes.
 * @throws BlockError if the active disk uses a cluster that only the deleted snapshot may use.
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
