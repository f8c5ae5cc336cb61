import { BlockError, type NewSnapshot, type WorkMeter } from '../image.ts';
import type { Committer } from './commit.ts';
import { offsetAt, setPointer } from './entries.ts';
import { flip } from './flip.ts';
import { ENTRY_BYTES, L1_BYTES_MAX, l1EntriesOf, SNAPSHOTS_MAX } from './geometry.ts';
import type { Pointers, TablePlace } from './header.ts';
import { OwnClusters } from './own-clusters.ts';
import { readSnapshotL1 } from './snapshot-reader.ts';
import { encodeSnapshotTable, nextSnapshotId, type SnapshotEntry } from './snapshot-table.ts';
import { clustersOfTable, copyTree, lowerTree, markCopied, writeNewL1 } from './tree.ts';
import type { VmStateArea } from './vm-state.ts';
import type { Volume } from './volume.ts';

/*
 * Taking and deleting snapshots. Both build what is to be beside what is and turn the image over in one header write
 * (flip.ts). What fails before is taken back in memory: the file does not know of it. The caller has the image alone.
 */

/** A new state of the image, all written but not yet valid. */
export type Change = {
  readonly to: Partial<Pick<Pointers, 'l1' | 'snapshotTable'>>;
  readonly l1: Buffer;
  readonly snapshots: readonly SnapshotEntry[];
  readonly snapshotTableBytes: number;
};

/**
 * The snapshot takes over the active L2 tables as they are; the active disk gets new ones in which nothing is COPIED.
 * VM state lies behind the disk in the snapshot's L1 table only.
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
  await turnOver(volume, committer, async (last) => {
    const entries = l1EntriesOf(diskBytes, volume.geometry);
    const vmTables = (await taking.vmState?.writeTables()) ?? [];
    const snapshotL1 = joinL1(volume, entries, vmTables);
    const l1 = await copyTree(volume, volume.l1, entries);
    // What lay behind the disk was VM state of an earlier snapshot.
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

/** Gives an entry another name, and another one that has it up, with one header write. */
export async function renameSnapshot(
  volume: Volume,
  committer: Committer,
  { entry, name, replaced }: { entry: SnapshotEntry; name: string; replaced: SnapshotEntry | null },
): Promise<void> {
  const renamed = { ...entry, name, stored: null };
  const rest = volume.snapshots.filter((other) => other !== replaced).map((one) => (one === entry ? renamed : one));
  if (replaced !== null) return without(volume, committer, { entry: replaced, meter: undefined, rest });
  await turnOver(volume, committer, async (last) => {
    const tables = await replaceTables(volume, { l1: null, snapshots: rest }, last);
    return { l1: volume.l1, snapshots: rest, ...tables };
  });
}

/** @param rest the entries that stay. */
async function without(
  volume: Volume,
  committer: Committer,
  { entry, meter, rest }: { entry: SnapshotEntry; meter: WorkMeter | undefined; rest: readonly SnapshotEntry[] },
): Promise<void> {
  await turnOver(volume, committer, async (last) => {
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
 * Makes a new state valid that `build` has written.
 * @param build adds to `last` the clusters that only the old state needs.
 */
export async function turnOver(
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
    last.push(...(await flip(volume, change.to)));
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

/** The L1 table of a snapshot: the active disk's entries, then those of VM state. */
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

/** Writes a new snapshot table, and a new active L1 table if there is one, to new places. */
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
