import type { PreparedApply, WorkMeter } from '../image.ts';
import type { Pointers } from './image-header.ts';
import { readSnapshotL1 } from './snapshot-reader.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import { ENTRY_BYTES, l1EntriesOf, type TablePlace } from './table-format.ts';
import { clustersOfTable, copyTree, lowerTree, writeNewL1 } from './table-tree.ts';
import { ALL_KEYS, type Volume } from './volume.ts';

/** Limit for a commit during which the guest keeps changing tables. */
const PASSES_MAX = 8;

/**
 * Writes the changed tables in an order in which a crash at any moment leaves at most leaked clusters: counts, L2
 * tables, L1 entries, each flushed before the next. After that the counts of clusters without a pointer are lowered.
 * Only one commit runs at a time; a second call waits and then writes the changes made since.
 */
export class Committer {
  /** Number of times that the waiting changes were taken to be written. */
  taken = 0;
  readonly #volume: Volume;
  #last: Promise<void> = Promise.resolve();

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  /** @throws BlockError; after `no_space` all changes still wait in memory, and a later commit may succeed. */
  commit(): Promise<void> {
    const next = this.#last.catch(() => {}).then(() => this.#commit());
    this.#last = next;
    return next;
  }

  /**
   * A commit that may fail, for lowered counts only: all other changes are already stable. Counts that cannot be
   * written are written by a later commit, or are repaired as leaks when the image is opened again.
   */
  async tidyUp(): Promise<void> {
    await this.commit().catch(() => {});
  }

  async #commit(): Promise<void> {
    const volume = this.#volume;
    // A pass lowers the counts of clusters without a pointer; the next pass writes them. The next pass also writes all
    // changes that the guest made during this one: a count without a pointer to its cluster would look leaked.
    for (let pass = 0; pass < PASSES_MAX && volume.isDirty; pass += 1) await this.#writeAll();
    await volume.sync();
  }

  async #writeAll(): Promise<void> {
    const volume = this.#volume;
    const { counts } = volume;
    this.taken += 1;
    // Taken without an await in between, so that the taken changes are consistent.
    const writes = counts.take();
    const tables = volume.tables.take();
    const l1 = volume.takeL1();
    const lowered = volume.takeLowerLater();
    const isUsed = tables.length > 0 || l1.length > 0;
    try {
      await this.#writeTaken(writes);
      if (isUsed) await volume.sync();
      await volume.writeTables(tables);
      if (l1.length > 0) await volume.sync();
      await volume.writeTables(l1);
      if (isUsed) await volume.sync();
    } catch (error) {
      counts.giveBack(writes);
      volume.tables.giveBack(tables);
      volume.giveBackL1(l1);
      for (const offset of lowered) volume.lowerLater(offset);
      throw error;
    }
    volume.tables.written(tables);
    for (const offset of lowered) counts.lower(offset);
  }

  async #writeTaken({ blocks, entries, table }: ReturnType<Volume['counts']['take']>): Promise<void> {
    const volume = this.#volume;
    await volume.writeTables(blocks);
    for (const entry of entries) {
      await volume.sync();
      await volume.writeTables([entry]);
    }
    if (table === null) return;
    await volume.writeTables([{ position: table.place.offset, bytes: table.bytes }]);
    await volume.sync();
    await volume.writePointers({ ...volume.pointers, refcountTable: table.place });
    const old = volume.counts.place;
    volume.counts.place = table.place;
    volume.counts.lowerTable(old);
  }
}

type NewTables = Partial<Pick<Pointers, 'diskBytes' | 'l1' | 'snapshotTable'>>;

/**
 * Switches the image to new tables. Changed refcount blocks and the refcount table are also written to new places, and
 * one header write makes all of them valid together. So counts, COPIED flags and tables agree at every moment.
 * @returns the offsets of the clusters that held the old counts.
 */
export async function switchTables(volume: Volume, to: NewTables): Promise<number[]> {
  const { counts } = volume;
  const moved = counts.move();
  for (const { position, bytes } of counts.movedWrites(moved)) await volume.write(position, bytes);
  await volume.sync();
  await volume.writePointers({ ...volume.pointers, ...to, refcountTable: moved.place });
  return counts.moved(moved);
}

/** Most bytes of one hole: a larger one takes long and would show no progress. */
const HOLE_BYTES_MAX = 64 * 2 ** 20;

/**
 * Gives freed clusters back to the file system: as holes, or by cutting the file behind its last used cluster. Nothing
 * in the file may point to them. Errors are ignored, because later writes use the free space.
 */
export async function reclaim(volume: Volume, meter?: WorkMeter): Promise<void> {
  const { counts, file, geometry } = volume;
  const end = counts.end();
  const freed = counts.takeFreed().map(({ first, clusters }) => {
    const offset = first * geometry.clusterBytes;
    const bytes = clusters * geometry.clusterBytes;
    return { offset, bytes, inside: Math.max(0, Math.min(end - offset, bytes)) };
  });
  for (const { bytes } of freed) meter?.addTotal(bytes);
  for (const { offset, inside } of freed) {
    for (let done = 0; done < inside; done += HOLE_BYTES_MAX) {
      const hole = Math.min(HOLE_BYTES_MAX, inside - done);
      await file.punchHole(offset + done, hole);
      meter?.addCurrent(hole);
    }
  }
  if (file.bytes > end) await file.truncate(end).catch(() => {});
  for (const { bytes, inside } of freed) meter?.addCurrent(bytes - inside);
}

type Disk = { readonly l1: Buffer; readonly place: TablePlace; readonly diskBytes: number };

/**
 * Two trees of tables: the disk as it is, and the disk as the snapshot has it. The header points to one of them. The
 * snapshot also refers to every cluster of the second tree, so no entry there is COPIED, and no flag of the first tree
 * changes. Counts and flags therefore agree at every moment, whichever tree is freed.
 */
export class TwoTrees implements PreparedApply {
  readonly #volume: Volume;
  readonly #committer: Committer;
  readonly #onEnd: () => void;
  #other: Disk;
  #state: 'prepared' | 'committed' | 'ended' = 'prepared';
  #side: Exclude<PreparedApply['disk'], 'unknown'> = 'before';
  #isInDoubt = false;

  private constructor(volume: Volume, committer: Committer, of: { other: Disk; onEnd: () => void }) {
    this.#volume = volume;
    this.#committer = committer;
    this.#other = of.other;
    this.#onEnd = of.onEnd;
  }

  /** Builds the second tree. The caller has the image alone. @throws BlockError */
  static async prepare(
    volume: Volume,
    committer: Committer,
    of: { entry: SnapshotEntry; onEnd: () => void },
  ): Promise<TwoTrees> {
    volume.assertWritable();
    await committer.commit();
    const { counts } = volume;
    const entries = l1EntriesOf(of.entry.diskBytes, volume.geometry);
    counts.beginUndo();
    let other: Disk;
    try {
      const l1 = await copyTree(volume, await readSnapshotL1(volume, of.entry), entries);
      other = { l1, place: { offset: await writeNewL1(volume, l1), entries }, diskBytes: of.entry.diskBytes };
    } catch (error) {
      counts.undo();
      throw error;
    }
    counts.keep();
    const trees = new TwoTrees(volume, committer, { other, onEnd: of.onEnd });
    try {
      await committer.commit();
    } catch (error) {
      if (volume.broken === null) await trees.#drop(other);
      throw error;
    }
    return trees;
  }

  get disk(): PreparedApply['disk'] {
    return this.#isInDoubt ? 'unknown' : this.#side;
  }

  commit(): Promise<void> {
    return this.#step('prepared', 'committed', () => this.#switch());
  }

  revert(): Promise<void> {
    return this.#step('committed', 'ended', async () => {
      await this.#switch();
      await this.#end();
    });
  }

  release(): Promise<void> {
    return this.#step('committed', 'ended', () => this.#end());
  }

  abandon(): Promise<void> {
    return this.#step('prepared', 'ended', () => this.#end());
  }

  #step(from: 'prepared' | 'committed', to: 'committed' | 'ended', work: () => Promise<void>): Promise<void> {
    return this.#volume.locks.with(ALL_KEYS, async () => {
      if (this.#state !== from) throw new Error(`this apply is ${this.#state}, not ${from}`);
      this.#volume.assertWritable();
      await work();
      this.#state = to;
    });
  }

  /** Points the header to the other tree. */
  async #switch(): Promise<void> {
    const volume = this.#volume;
    await this.#committer.commit();
    const before: Disk = { l1: volume.l1, place: volume.pointers.l1, diskBytes: volume.pointers.diskBytes };
    const to: Pointers = { ...volume.pointers, l1: this.#other.place, diskBytes: this.#other.diskBytes };
    try {
      await volume.writePointers(to);
    } catch (error) {
      this.#isInDoubt = volume.broken !== null;
      throw error;
    }
    volume.l1 = this.#other.l1;
    this.#other = before;
    this.#side = this.#side === 'before' ? 'snapshot' : 'before';
  }

  async #end(): Promise<void> {
    await this.#drop(this.#other);
    this.#onEnd();
    await this.#committer.tidyUp();
    await reclaim(this.#volume);
  }

  async #drop({ l1, place }: Disk): Promise<void> {
    const last: number[] = [];
    await lowerTree(this.#volume, { l1, first: 0 }, last);
    last.push(...clustersOfTable(this.#volume, { offset: place.offset, bytes: place.entries * ENTRY_BYTES }));
    for (const offset of last) this.#volume.counts.lower(offset);
  }
}
