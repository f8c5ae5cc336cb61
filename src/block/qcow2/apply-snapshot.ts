import type { PreparedApply } from '../image.ts';
import { type Committer, reclaim } from './commit.ts';
import type { Pointers, TablePlace } from './image-header.ts';
import { readSnapshotL1 } from './snapshot-reader.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import { ENTRY_BYTES, l1EntriesOf } from './table-format.ts';
import { clustersOfTable, copyTree, lowerTree, writeNewL1 } from './table-tree.ts';
import { ALL_KEYS, type Volume } from './volume.ts';

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
