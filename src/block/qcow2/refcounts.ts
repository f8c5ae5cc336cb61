import { BlockError } from '../image.ts';
import { type Counts, FreeClusters, FreedRuns, type RefcountOptions, type Run } from './cluster-counts.ts';
import {
  type CountWrites,
  type Dirty,
  ENTRY_BYTES,
  encodeBlock,
  encodeEntries,
  encodeTable,
  FILE_CLUSTERS_MAX,
  type Geometry,
  REFCOUNT_TABLE_BYTES_MAX,
  type TablePlace,
  type Write,
} from './table-format.ts';

/**
 * The reference counts of an image. The counts in memory are valid; commit.ts writes the refcount blocks. A new block
 * lies in the first free cluster of the range that it counts, or behind that range. So the table entries of new blocks
 * may be written one by one, the last one first: a new block is counted by itself, or by a later block whose entry is
 * already written.
 */
export class Refcounts {
  readonly #options: RefcountOptions;
  readonly #geometry: Geometry;
  readonly #counts: Counts;
  readonly #blocks: number[];
  readonly free: FreeClusters;
  place: TablePlace;
  #dirty = new Map<number, Dirty>();
  /** Blocks without an entry in the table of the file. */
  #fresh = new Set<number>();
  #reservedInUndo: number[] | null = null;
  readonly #freed = new FreedRuns();

  constructor(options: RefcountOptions) {
    this.#options = options;
    this.#geometry = options.geometry;
    this.#counts = options.counts;
    this.#blocks = options.blocks;
    this.place = options.place;
    this.free = new FreeClusters(options.counts, { clusterBytes: options.geometry.clusterBytes, path: options.path });
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  get(offset: number): number {
    return this.#counts.get(Math.floor(offset / this.#geometry.clusterBytes));
  }

  /** Offsets of the clusters of the refcount table and its blocks. */
  *ownClusters(): Iterable<number> {
    const end = this.place.offset + this.place.entries * ENTRY_BYTES;
    for (let offset = this.place.offset; offset < end; offset += this.#geometry.clusterBytes) yield offset;
    for (const block of this.#blocks) if (block) yield block;
  }

  /** Adds a reference. @throws BlockError if the count cannot hold it. */
  raise(offset: number): void {
    const cluster = Math.floor(offset / this.#geometry.clusterBytes);
    const count = this.#counts.get(cluster) + 1;
    if (count > this.#geometry.countMax) {
      const message = `${this.#options.path}: the cluster at ${offset} has ${count - 1} references, and its count has no room for another.`;
      throw new BlockError('image_unsupported', message);
    }
    this.#set(cluster, count);
  }

  /** Removes a reference. Before the last one is removed, no table in the file may point to the cluster. */
  lower(offset: number): void {
    const cluster = Math.floor(offset / this.#geometry.clusterBytes);
    const count = this.#counts.get(cluster) - 1;
    if (count < 0) throw new Error(`count of the cluster at ${offset} of ${this.#options.path} fell below zero`);
    this.#set(cluster, count);
    if (count > 0) return;
    this.free.freed(cluster);
    this.#freed.add(cluster);
    this.#options.onFree(cluster * this.#geometry.clusterBytes);
  }

  /** Runs of clusters that were freed since the last call and are still free. */
  takeFreed(): Run[] {
    return this.#freed.take((cluster) => this.#counts.get(cluster) === 0);
  }

  /** @returns the offset of `clusters` adjacent clusters, with one reference each. @throws BlockError */
  allocate(clusters: number): number {
    const first = this.free.find(clusters);
    this.free.taken(first, clusters, clusters > 1);
    return this.#take(first, clusters);
  }

  /** Allocates the first run of free clusters: at least one cluster, at most `clusters`. */
  allocateUpTo(clusters: number): { readonly offset: number; readonly clusters: number } {
    const first = this.free.find(1);
    const taken = this.free.runFrom(first, clusters);
    this.free.taken(first, taken, false);
    return { offset: this.#take(first, taken), clusters: taken };
  }

  /**
   * Allocates the first free cluster with this number of references if it lies before `end`; otherwise returns null.
   */
  allocateBefore(end: number, references: number): number | null {
    const first = this.free.find(1);
    if (first * this.#geometry.clusterBytes >= end) return null;
    this.free.taken(first, 1, false);
    const offset = this.#take(first, 1);
    if (references > 1) this.#set(first, references);
    return offset;
  }

  /** Marks the blocks at or behind `offset` as changed, so that `move` gives them new places. */
  touchBlocksFrom(offset: number): void {
    for (const [block, at] of this.#blocks.entries()) {
      if (at >= offset && at > 0) this.touch(block * this.#geometry.countsPerBlock);
    }
  }

  /** True if the bytes are those of the table in memory. */
  isTable(bytes: Buffer): boolean {
    return encodeTable(this.place.entries, this.#blocks, new Map()).equals(bytes);
  }

  /** Offset behind the last used cluster. */
  end(): number {
    return this.#counts.end() * this.#geometry.clusterBytes;
  }

  /** Starts to record changes, so that `undo` can take them back. */
  beginUndo(): void {
    this.#counts.beginUndo();
    this.#reservedInUndo = [];
  }

  keep(): void {
    this.#counts.keep();
    this.#reservedInUndo = null;
  }

  /**
   * Takes back all changes since `beginUndo`. Counts that were written since are still dirty, so they are written
   * again.
   */
  undo(): void {
    this.#counts.undo();
    for (const block of this.#reservedInUndo ?? []) {
      this.#blocks[block] = 0;
      this.#dirty.delete(block);
      this.#fresh.delete(block);
    }
    this.#reservedInUndo = null;
    this.free.forget();
    this.#freed.take(() => false);
  }

  /** Marks the count of a cluster as changed. */
  touch(cluster: number): void {
    const { countsPerBlock } = this.#geometry;
    const block = Math.floor(cluster / countsPerBlock);
    const index = cluster % countsPerBlock;
    const dirty = this.#dirty.get(block);
    if (dirty === undefined) this.#dirty.set(block, { first: index, last: index });
    else if (index < dirty.first) dirty.first = index;
    else if (index > dirty.last) dirty.last = index;
    if (!this.#blocks[block]) this.#reserveBlock(block);
  }

  /** Takes the changes to be written in place. Call `giveBack` if the writes fail. */
  take(): CountWrites {
    const table = this.#growTable();
    const taken = { dirty: this.#dirty, fresh: [...this.#fresh] };
    this.#dirty = new Map();
    this.#fresh = new Set();
    const freshBlocks = new Set(taken.fresh);
    const blocks = [...taken.dirty].map(([block, dirty]) =>
      this.#blockWrite(block, freshBlocks.has(block) ? null : dirty),
    );
    const entries = encodeEntries(taken.fresh, this.#blocks, this.place);
    if (table === null) return { blocks, entries, table, taken };
    return {
      blocks,
      entries: [],
      table: { place: table, bytes: encodeTable(table.entries, this.#blocks, new Map()) },
      taken,
    };
  }

  giveBack(writes: CountWrites): void {
    for (const [block, { first, last }] of writes.taken.dirty) {
      for (const index of [first, last]) this.touch(block * this.#geometry.countsPerBlock + index);
    }
    for (const block of writes.taken.fresh) this.#fresh.add(block);
    const { place } = writes.table ?? {};
    if (place !== undefined && place !== this.place) this.lowerTable(place);
  }

  lowerTable(place: TablePlace): void {
    const end = place.offset + place.entries * ENTRY_BYTES;
    for (let offset = place.offset; offset < end; offset += this.#geometry.clusterBytes) this.lower(offset);
  }

  /**
   * Allocates a new cluster for every changed block, and a new place for the table; the old ones in the file stay
   * unchanged. Only the counts change until `moved` is called.
   */
  move(): { readonly place: TablePlace; readonly blocks: ReadonlyMap<number, number> } {
    const blocks = new Map<number, number>();
    const isPlaced = (block: number) => blocks.has(block) || this.#fresh.has(block);
    let place: TablePlace | null = null;
    for (;;) {
      const before = this.#dirty.size;
      for (const block of this.#dirty.keys()) {
        if (!isPlaced(block)) blocks.set(block, this.allocate(1));
      }
      const entries = this.#tableEntriesNeeded();
      if (place === null || place.entries < entries) {
        if (place !== null) this.lowerTable(place);
        place = { offset: this.allocate((entries * ENTRY_BYTES) / this.#geometry.clusterBytes), entries };
      } else if (this.#dirty.size === before && [...this.#dirty.keys()].every(isPlaced)) {
        return { place, blocks };
      }
    }
  }

  /** The changed blocks at their new places, and the new table. */
  movedWrites(moved: { place: TablePlace; blocks: ReadonlyMap<number, number> }): Write[] {
    const writes = [...this.#dirty.keys()].map((block) => {
      const { bytes, position } = this.#blockWrite(block, null);
      return { position: moved.blocks.get(block) ?? position, bytes };
    });
    const table = encodeTable(moved.place.entries, this.#blocks, moved.blocks);
    return [...writes, { position: moved.place.offset, bytes: table }];
  }

  /** The header points to the result of `move`. @returns the old clusters. */
  moved(to: { place: TablePlace; blocks: ReadonlyMap<number, number> }): number[] {
    const old: number[] = [];
    for (const [block, offset] of to.blocks) {
      old.push(this.#blocks[block]!);
      this.#blocks[block] = offset;
    }
    const end = this.place.offset + this.place.entries * ENTRY_BYTES;
    for (let offset = this.place.offset; offset < end; offset += this.#geometry.clusterBytes) old.push(offset);
    this.place = to.place;
    this.#dirty = new Map();
    this.#fresh = new Set();
    return old;
  }

  #set(cluster: number, count: number): void {
    this.#counts.set(cluster, count);
    this.touch(cluster);
  }

  #take(first: number, clusters: number): number {
    // All counts are set first, so that a new refcount block does not take a cluster of this run.
    for (let index = 0; index < clusters; index += 1) this.#counts.set(first + index, 1);
    for (let index = 0; index < clusters; index += 1) this.touch(first + index);
    return first * this.#geometry.clusterBytes;
  }

  #reserveBlock(block: number): void {
    const cluster = this.#counts.firstFree(block * this.#geometry.countsPerBlock);
    if (cluster >= FILE_CLUSTERS_MAX) throw this.free.full();
    while (this.#blocks.length < block) this.#blocks.push(0);
    this.#blocks[block] = cluster * this.#geometry.clusterBytes;
    this.#fresh.add(block);
    this.#reservedInUndo?.push(block);
    this.#set(cluster, 1);
  }

  #tableEntriesNeeded(): number {
    if (this.#blocks.length <= this.place.entries) return this.place.entries;
    // 1.5 times the need, so that a growing image does not need a new table for each new block.
    const { tableEntries } = this.#geometry;
    const entriesMax = REFCOUNT_TABLE_BYTES_MAX / ENTRY_BYTES;
    if (this.#blocks.length > entriesMax) throw this.free.full();
    return Math.min(Math.ceil((this.#blocks.length * 1.5) / tableEntries) * tableEntries, entriesMax);
  }

  /** Allocates a longer table if the one in the file is too short; otherwise null. */
  #growTable(): TablePlace | null {
    let grown: TablePlace = this.place;
    for (;;) {
      const entries = this.#tableEntriesNeeded();
      if (entries === grown.entries) return grown === this.place ? null : grown;
      if (grown !== this.place) this.lowerTable(grown);
      grown = { offset: this.allocate((entries * ENTRY_BYTES) / this.#geometry.clusterBytes), entries };
    }
  }

  #blockWrite(block: number, dirty: Dirty | null): Write {
    return encodeBlock({ block, offset: this.#blocks[block]!, dirty }, this.#counts, this.#geometry);
  }
}
