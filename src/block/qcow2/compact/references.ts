import { compressedAt, kindAt, offsetAt } from '../entries.ts';
import { ENTRY_BYTES } from '../geometry.ts';
import { readSnapshotL1 } from '../snapshot-reader.ts';
import type { SnapshotEntry } from '../snapshot-table.ts';
import { clustersOfTable } from '../tree.ts';
import type { Volume } from '../volume.ts';

/** An entry of an L1 table: of a snapshot's, or of the active one (null). */
export type L1Reference = { readonly snapshot: SnapshotEntry | null; readonly index: number };

/**
 * The table entries that point to clusters at `from` or behind it. The list may be out of date, because the guest's writes
 * change tables while it is made: before a cluster is moved its entries are compared with the tables again.
 */
export type References = {
  /** Entries of L2 tables by the offset of the cluster they point to: offset of the table, index, and so on in pairs. */
  readonly clusters: ReadonlyMap<number, readonly number[]>;
  /** Entries of L1 tables by the offset of the L2 table they point to. */
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

/** Reads every table of the image, one at a time: the guest's requests are served in between. */
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

/** Offsets of the clusters from `from` on that hold tables of the image itself: counts, L1 tables, the snapshot table. */
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
