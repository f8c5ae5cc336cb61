import type { Volume } from './volume.ts';

/** A guest that never stops writing must not keep a commit from its end. */
const PASSES_MAX = 8;

/**
 * Writes what waits in memory, in the order that leaves at most leaked clusters behind wherever it is cut off: counts,
 * L2 tables, L1 entries, each made stable before the next; then the counts of what is not pointed to any more may fall.
 * One at a time; a call that finds one under way waits and then writes what has come since.
 */
export class Committer {
  /** How often what waited was taken to be written. */
  taken = 0;
  readonly #volume: Volume;
  #last: Promise<void> = Promise.resolve();

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  /** @throws BlockError; after `no_space` everything still waits and may be tried again. */
  commit(): Promise<void> {
    const next = this.#last.catch(() => {}).then(() => this.#commit());
    this.#last = next;
    return next;
  }

  /**
   * The same after work that is done and stable already, when all that is left is to write counts that fell: what cannot
   * be written now is written later, or found as leaked when the image is opened again.
   */
  async tidyUp(): Promise<void> {
    await this.commit().catch(() => {});
  }

  async #commit(): Promise<void> {
    const volume = this.#volume;
    // Counts fall once nothing points to their clusters any more, and are written by another pass. So is what a guest
    // changes meanwhile, whole: a count in the file without what points to the cluster would look leaked.
    for (let pass = 0; pass < PASSES_MAX && volume.isDirty; pass += 1) await this.#writeAll();
    await volume.sync();
  }

  async #writeAll(): Promise<void> {
    const volume = this.#volume;
    const { counts } = volume;
    this.taken += 1;
    // One moment: what is taken here fits together, whatever is changed while it is written.
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
