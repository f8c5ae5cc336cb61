import type { WorkMeter } from '../image.ts';
import type { Pointers } from './image-header.ts';
import type { Volume } from './volume.ts';

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
