import { BlockError } from '../image.ts';
import type { BlockFile } from '../image-file.ts';
import { RangeLock } from '../image-locks.ts';
import { encodePointers, type Header, POINTERS_OFFSET, type Pointers } from './image-header.ts';
import { readTable, TableCache } from './l2-tables.ts';
import type { Refcounts } from './refcounts.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import {
  ENTRY_BYTES,
  type Geometry,
  isCopied,
  offsetAt,
  setPointer,
  TABLE_CACHE_BYTES,
  type Write,
} from './table-format.ts';

/** The content of unallocated clusters: a backing file. */
export type BackingSource = {
  /** Bytes behind its end read as zeros. */
  read(offset: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
};

/** Keys of the image's lock: guest clusters are numbered from 0; negative keys are other parts of the image. */
export const LOCK_KEYS = { flush: -3, snapshots: -2, vmState: -1 } as const;
export const ALL_KEYS = { first: LOCK_KEYS.flush, last: Number.POSITIVE_INFINITY, alone: true } as const;

const SECTOR_BYTES = 512;
const L2_TABLES_MIN = 4;

export type VolumeOptions = {
  readonly file: BlockFile;
  readonly header: Header;
  readonly headerBytes: Buffer;
  readonly l1: Buffer;
  readonly snapshots: readonly SnapshotEntry[];
  readonly snapshotTableBytes: number;
  /** First fault of the snapshot table; null if all of it could be read. */
  readonly snapshotFault: BlockError | null;
  readonly backing: BackingSource | null;
};

/**
 * The tables of an open image, and the rules for writing them. Changed tables wait in memory until commit.ts writes
 * them: raised counts first, then the tables that point to the counted clusters, then lowered counts
 * (docs/adr/0035-qcow2-crash-safety-by-one-header-write.md).
 */
export class Volume {
  readonly file: BlockFile;
  readonly header: Header;
  /** The start of the file as it was last read or written. */
  readonly headerBytes: Buffer;
  readonly geometry: Geometry;
  readonly backing: BackingSource | null;
  readonly snapshotFault: BlockError | null;
  readonly locks = new RangeLock();
  readonly tables: TableCache;
  /** Reason, as a sentence, if the image should be writable but is open read-only; otherwise null. */
  readOnlyReason: string | null = null;
  /** Null if the image is open read-only. */
  refcounts: Refcounts | null = null;
  pointers: Pointers;
  /** The active L1 table. */
  l1: Buffer;
  snapshots: readonly SnapshotEntry[];
  snapshotTableBytes: number;
  /** Increases whenever clusters are moved: file offsets that were kept from before are no longer valid. */
  layout = 0;
  /** Error of a write with unknown outcome. The image is not written again after it. */
  broken: BlockError | null = null;
  readonly #dirtyL1 = new Set<number>();
  #lowerLater: number[] = [];
  readonly #makingTable = new Map<number, Promise<void>>();
  /** Number of writes that have ended, and number of them that a sync has made stable. */
  #writes = 0;
  #synced = 0;

  constructor(options: VolumeOptions) {
    this.file = options.file;
    this.header = options.header;
    this.headerBytes = options.headerBytes;
    this.geometry = options.header.geometry;
    this.backing = options.backing;
    this.pointers = options.header.pointers;
    this.l1 = options.l1;
    this.snapshots = options.snapshots;
    this.snapshotTableBytes = options.snapshotTableBytes;
    this.snapshotFault = options.snapshotFault;
    const tablesMax = Math.max(L2_TABLES_MIN, Math.floor(TABLE_CACHE_BYTES / this.geometry.clusterBytes));
    this.tables = new TableCache({ load: (offset) => readTable(this, offset), tablesMax });
  }

  get isDirty(): boolean {
    const { refcounts, tables } = this;
    return refcounts?.isDirty === true || tables.isDirty || this.#dirtyL1.size > 0 || this.#lowerLater.length > 0;
  }

  /** Runs `work` while no other request uses the image. */
  alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.locks.with(ALL_KEYS, work);
  }

  /** The counts of a writable image. @throws BlockError if the image may not be written. */
  get counts(): Refcounts {
    if (this.refcounts === null) {
      const why = this.readOnlyReason === null ? '' : ` ${this.readOnlyReason}`;
      throw new BlockError('image_read_only', `${this.file.path}: the image is open read-only.${why}`);
    }
    if (this.broken !== null) {
      const message = `${this.file.path}: a write failed before, so nothing is written until the image is opened again.`;
      throw new BlockError(this.broken.code, message, { cause: this.broken });
    }
    return this.refcounts;
  }

  /** @throws BlockError */
  assertWritable(): void {
    void this.counts;
  }

  /** Writes guest data, or a table that nothing points to yet. A failure leaves the image unchanged. */
  async write(position: number, from: Uint8Array): Promise<void> {
    try {
      await this.file.write(position, from);
    } finally {
      // Counted after the write: a sync does not cover writes that are in progress when it starts.
      this.#writes += 1;
    }
  }

  /** Writes tables that are in use. After an error other than `no_space` the image is broken. */
  async writeTables(writes: readonly Write[]): Promise<void> {
    for (const { position, bytes } of writes) {
      await this.write(position, bytes).catch((error: BlockError) => {
        if (error.code !== 'no_space') this.broken ??= error;
        throw error;
      });
      if (position < this.headerBytes.length) bytes.copy(this.headerBytes, position);
    }
  }

  /** Writes the variable fields of the header with one write inside a sector, and flushes. */
  async writePointers(pointers: Pointers): Promise<void> {
    await this.writeTables([{ position: POINTERS_OFFSET, bytes: encodePointers(pointers, this.geometry) }]);
    await this.sync();
    this.pointers = pointers;
  }

  async sync(): Promise<void> {
    const writes = this.#writes;
    if (this.#synced >= writes) return;
    try {
      await this.file.sync();
    } catch (error) {
      this.broken ??= error as BlockError;
      throw error;
    }
    this.#synced = Math.max(this.#synced, writes);
  }

  /** The L2 table of an entry of the active L1, which must not be changed; null if the entry is empty. */
  async activeTable(index: number): Promise<Buffer | null> {
    const offset = index * ENTRY_BYTES < this.l1.length ? offsetAt(this.l1, index) : 0;
    return offset === 0 ? null : this.tables.get(offset);
  }

  /** Makes sure that only the active disk uses this L2 table, so that it may be changed. */
  async ownTable(index: number): Promise<void> {
    for (let pending = this.#makingTable.get(index); pending !== undefined; pending = this.#makingTable.get(index)) {
      await pending.catch(() => {});
    }
    if (offsetAt(this.l1, index) !== 0 && isCopied(this.l1, index)) return;
    const making = this.#makeTable(index);
    this.#makingTable.set(index, making);
    try {
      await making;
    } finally {
      this.#makingTable.delete(index);
    }
  }

  /** Changes an L2 table after `ownTable`. `change` is synchronous. */
  async updateTable(index: number, change: (table: Buffer) => void): Promise<void> {
    await this.tables.update(offsetAt(this.l1, index), change);
  }

  /** Removes a reference after the tables without it are in the file. */
  lowerLater(offset: number): void {
    this.#lowerLater.push(offset);
  }

  takeLowerLater(): number[] {
    const taken = this.#lowerLater;
    this.#lowerLater = [];
    return taken;
  }

  /** Takes the changed sectors of the active L1. Call `giveBackL1` if the writes fail. */
  takeL1(): Write[] {
    const sectors = new Set([...this.#dirtyL1].map((index) => Math.floor((index * ENTRY_BYTES) / SECTOR_BYTES)));
    this.#dirtyL1.clear();
    return [...sectors].map((sector) => {
      const from = sector * SECTOR_BYTES;
      return {
        position: this.pointers.l1.offset + from,
        bytes: Buffer.from(this.l1.subarray(from, from + SECTOR_BYTES)),
      };
    });
  }

  /** Marks an entry of the active L1 as changed. */
  touchL1(index: number): void {
    this.#dirtyL1.add(index);
  }

  giveBackL1(writes: readonly Write[]): void {
    for (const { position } of writes) this.#dirtyL1.add((position - this.pointers.l1.offset) / ENTRY_BYTES);
  }

  async #makeTable(index: number): Promise<void> {
    const old = offsetAt(this.l1, index);
    const bytes = old === 0 ? Buffer.alloc(this.geometry.clusterBytes) : Buffer.from(await this.tables.get(old));
    const offset = this.counts.allocate(1);
    // Written at once, so that a full disk fails this request and not a later flush.
    await this.write(offset, bytes).catch((error: unknown) => {
      this.counts.lower(offset);
      throw error;
    });
    this.tables.putDirty(offset, bytes);
    setPointer(this.l1, index, { offset, copied: true });
    this.#dirtyL1.add(index);
    if (old !== 0) this.lowerLater(old);
  }
}
