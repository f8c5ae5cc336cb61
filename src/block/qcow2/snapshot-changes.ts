import { BlockError, type NewSnapshot, type WorkMeter } from '../image.ts';
import { type Committer, switchTables } from './commit.ts';
import type { Pointers } from './image-header.ts';
import { readSnapshotL1 } from './snapshot-reader.ts';
import { encodeSnapshotTable, nextSnapshotId, type SnapshotEntry } from './snapshot-table.ts';
import {
  ENTRY_BYTES,
  L1_BYTES_MAX,
  l1EntriesOf,
  offsetAt,
  SNAPSHOTS_MAX,
  setPointer,
  type TablePlace,
} from './table-format.ts';
import { clustersOfTable, copyTree, lowerTree, markCopied, writeNewL1 } from './table-tree.ts';
import type { VmStateArea } from './vm-state-area.ts';
import type { Volume } from './volume.ts';

/*
 * Taking, renaming and deleting snapshots. Each change writes new tables to free clusters and makes them valid with one
 * header write (switchTables in commit.ts). A failure before that write is undone in memory; the file is unchanged. The
 * caller has the image alone.
 */

/** New tables of the image that are written but not yet valid. */
export type Change = {
  readonly to: Partial<Pick<Pointers, 'l1' | 'snapshotTable'>>;
  readonly l1: Buffer;
  readonly snapshots: readonly SnapshotEntry[];
  readonly snapshotTableBytes: number;
};

/**
 * Takes a snapshot. It gets the active L2 tables unchanged; the active disk gets copies without COPIED flags. Only the
 * snapshot's L1 table contains the VM state, behind the disk.
 */
export async function takeSnapshot(
  volume: Volume,
  committer: Committer,
  taking: { snapshot: NewSnapshot; vmState: VmStateArea | null },
): Promise<void> {
  if (volume.snapshots.length >= SNAPSHOTS_MAX) {
    const message = `${volume.file.path}: the image has ${SNAPSHOTS_MAX} snapshots, which is as many as there can be.`;
    throw new BlockError('snapshot_table_full', message);
  }
  const { diskBytes } = volume.pointers;
  await replaceState(volume, committer, async (last) => {
    const entries = l1EntriesOf(diskBytes, volume.geometry);
    const vmTables = (await taking.vmState?.writeTables()) ?? [];
    const snapshotL1 = joinL1(volume, entries, vmTables);
    const l1 = await copyTree(volume, volume.l1, entries);
    // Entries behind the disk are VM state of an earlier snapshot.
    await lowerTree(volume, { l1: volume.l1, first: entries }, last);
    const place = { offset: await writeNewL1(volume, snapshotL1), entries: snapshotL1.length / ENTRY_BYTES };
    const id = nextSnapshotId(volume.snapshots);
    const entry: SnapshotEntry = { ...taking.snapshot, id, l1: place, diskBytes, icount: null, stored: null };
    const snapshots = [...volume.snapshots, entry];
    return { l1, snapshots, ...(await replaceTables(volume, { l1, snapshots }, last)) };
  });
  taking.vmState?.take();
}

export async function deleteSnapshot(
  volume: Volume,
  committer: Committer,
  { entry, meter }: { entry: SnapshotEntry; meter: WorkMeter | undefined },
): Promise<void> {
  await without(volume, committer, { entry, meter, rest: volume.snapshots.filter((other) => other !== entry) });
}

/** Renames a snapshot and removes `replaced`, if it is not null, with one header write. */
export async function renameSnapshot(
  volume: Volume,
  committer: Committer,
  { entry, name, replaced }: { entry: SnapshotEntry; name: string; replaced: SnapshotEntry | null },
): Promise<void> {
  const renamed = { ...entry, name, stored: null };
  const rest = volume.snapshots.filter((other) => other !== replaced).map((one) => (one === entry ? renamed : one));
  if (replaced !== null) return without(volume, committer, { entry: replaced, meter: undefined, rest });
  await replaceState(volume, committer, async (last) => {
    const tables = await replaceTables(volume, { l1: null, snapshots: rest }, last);
    return { l1: volume.l1, snapshots: rest, ...tables };
  });
}

/** Removes one snapshot. @param rest the entries of the new snapshot table. */
async function without(
  volume: Volume,
  committer: Committer,
  { entry, meter, rest }: { entry: SnapshotEntry; meter: WorkMeter | undefined; rest: readonly SnapshotEntry[] },
): Promise<void> {
  await replaceState(volume, committer, async (last) => {
    const l1 = await readSnapshotL1(volume, entry);
    await lowerTree(volume, { l1, first: 0, meter }, last);
    const own = new OwnClusters(volume, { entry, last });
    last.push(...clustersOfTable(volume, { offset: entry.l1.offset, bytes: l1.length }));
    const snapshots = rest;
    const marked = await markCopied(volume, own, last);
    const tables = await replaceTables(volume, { l1: marked, snapshots }, last);
    return { l1: marked ?? volume.l1, snapshots, ...tables };
  });
}

/**
 * Replaces the tables of the image.
 * @param build writes the new tables, and adds to `last` the clusters that only the old tables use.
 */
export async function replaceState(
  volume: Volume,
  committer: Committer,
  build: (last: number[]) => Promise<Change>,
): Promise<void> {
  volume.assertWritable();
  await committer.commit();
  const { counts } = volume;
  const last: number[] = [];
  counts.beginUndo();
  try {
    const change = await build(last);
    last.push(...(await switchTables(volume, change.to)));
    volume.l1 = change.l1;
    volume.snapshots = change.snapshots;
    volume.snapshotTableBytes = change.snapshotTableBytes;
  } catch (error) {
    counts.undo();
    throw error;
  }
  counts.keep();
  for (const offset of last) counts.lower(offset);
  await committer.tidyUp();
}

/** Builds the L1 table of a snapshot: the entries of the active disk, then the entries of the VM state. */
function joinL1(volume: Volume, entries: number, vmTables: readonly number[]): Buffer {
  const bytes = (entries + vmTables.length) * ENTRY_BYTES;
  if (bytes > L1_BYTES_MAX) {
    const message = `${volume.file.path}: the snapshot would need an L1 table of ${bytes} bytes; ${L1_BYTES_MAX} are allowed.`;
    throw new BlockError('image_too_large', message);
  }
  const l1 = Buffer.alloc(bytes);
  for (let index = 0; index < entries; index += 1)
    setPointer(l1, index, { offset: offsetAt(volume.l1, index), copied: false });
  vmTables.forEach((offset, index) => {
    setPointer(l1, entries + index, { offset, copied: offset !== 0 });
  });
  return l1;
}

/** Writes a new snapshot table, and a new active L1 table if `l1` is not null, to free clusters. */
export async function replaceTables(
  volume: Volume,
  tables: { l1: Buffer | null; snapshots: readonly SnapshotEntry[] },
  last: number[],
): Promise<Pick<Change, 'to' | 'snapshotTableBytes'>> {
  const old = volume.pointers;
  const table = await writeSnapshotTable(volume, tables.snapshots);
  const { place: snapshotTable, bytes: snapshotTableBytes } = table;
  last.push(...clustersOfTable(volume, { offset: old.snapshotTable.offset, bytes: volume.snapshotTableBytes }));
  if (tables.l1 === null) return { to: { snapshotTable }, snapshotTableBytes };
  last.push(...clustersOfTable(volume, { offset: old.l1.offset, bytes: old.l1.entries * ENTRY_BYTES }));
  const l1 = { offset: await writeNewL1(volume, tables.l1), entries: tables.l1.length / ENTRY_BYTES };
  return { to: { l1, snapshotTable }, snapshotTableBytes };
}

async function writeSnapshotTable(
  volume: Volume,
  snapshots: readonly SnapshotEntry[],
): Promise<{ place: TablePlace; bytes: number }> {
  const bytes = encodeSnapshotTable(snapshots, volume.file.path);
  if (bytes.length === 0) return { place: { offset: 0, entries: 0 }, bytes: 0 };
  const clusters = Math.ceil(bytes.length / volume.geometry.clusterBytes);
  const offset = volume.counts.allocate(clusters);
  const padded = Buffer.alloc(clusters * volume.geometry.clusterBytes);
  bytes.copy(padded);
  await volume.write(offset, padded);
  return { place: { offset, entries: snapshots.length }, bytes: bytes.length };
}

/**
 * The clusters that, by tables and counts, only one snapshot uses, and that are freed with it. A damaged table may name
 * a cluster that belongs to another structure; if it were freed, it would be overwritten. Clusters of the active disk
 * and of the image's own tables are detected. A cluster of another snapshot is not: that would need all tables of all
 * snapshots.
 */
export class OwnClusters {
  readonly #volume: Volume;
  readonly #id: string;
  readonly #clusters: ClusterSet;

  /** @throws BlockError if a cluster occurs twice, or if a table of the image lies in it. */
  constructor(volume: Volume, { entry, last }: { readonly entry: SnapshotEntry; readonly last: readonly number[] }) {
    this.#volume = volume;
    this.#id = entry.id;
    const { clusterBytes } = volume.geometry;
    this.#clusters = new ClusterSet({ bytes: volume.file.bytes, clusterBytes });
    for (const offset of last) if (!this.#clusters.add(offset)) throw this.#fault(offset, 'twice');
    for (const offset of clustersOfImage(volume)) this.refuse(offset, 'a table of the image');
  }

  /** @throws BlockError if the cluster is one of them. @param what the other use of the cluster. */
  refuse(offset: number, what: string): void {
    if (this.#clusters.has(offset)) throw this.#fault(offset, `though it is ${what}`);
  }

  #fault(offset: number, how: string): BlockError {
    const where = `the tables of snapshot ${this.#id} name the cluster at ${offset} ${how}`;
    const advice = 'Nothing was changed; the next start counts the references again.';
    return new BlockError('image_corrupt', `${this.#volume.file.path}: ${where}. ${advice}`);
  }
}

/** Clusters of refcounts, L1 tables, the snapshot table, and the L2 tables of the active disk. */
function* clustersOfImage(volume: Volume): Iterable<number> {
  const { pointers, counts } = volume;
  yield* counts.ownClusters();
  yield* clustersOfTable(volume, { offset: pointers.snapshotTable.offset, bytes: volume.snapshotTableBytes });
  for (const { offset, entries } of [pointers.l1, ...volume.snapshots.map(({ l1 }) => l1)]) {
    yield* clustersOfTable(volume, { offset, bytes: entries * ENTRY_BYTES });
  }
  for (let index = 0; index < volume.l1.length / ENTRY_BYTES; index += 1) {
    const offset = offsetAt(volume.l1, index);
    if (offset !== 0) yield offset;
  }
}

/** A set of clusters of an image file, as one bit per cluster. */
export class ClusterSet {
  readonly #clusterBytes: number;
  readonly #bits: Uint8Array;

  /** @param bytes length of the file; clusters behind its end cannot be added. */
  constructor({ bytes, clusterBytes }: { readonly bytes: number; readonly clusterBytes: number }) {
    this.#clusterBytes = clusterBytes;
    this.#bits = new Uint8Array(Math.ceil(bytes / clusterBytes / 8));
  }

  has(offset: number): boolean {
    const cluster = Math.floor(offset / this.#clusterBytes);
    return ((this.#bits[cluster >>> 3] ?? 0) & (1 << (cluster & 7))) !== 0;
  }

  /** @returns false if the set contained the cluster already. */
  add(offset: number): boolean {
    if (this.has(offset)) return false;
    const cluster = Math.floor(offset / this.#clusterBytes);
    this.#bits[cluster >>> 3]! |= 1 << (cluster & 7);
    return true;
  }
}
