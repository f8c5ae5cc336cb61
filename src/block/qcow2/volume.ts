import type { BlockFile } from '../file.ts';
import { BlockError } from '../image.ts';
import { RangeLock } from '../range-lock.ts';
import { isCopied, offsetAt, setPointer } from './entries.ts';
import { ENTRY_BYTES, type Geometry, TABLE_CACHE_BYTES } from './geometry.ts';
import { encodePointers, type Header, POINTERS_OFFSET, type Pointers } from './header.ts';
import type { Write } from './refcount-encoding.ts';
import type { Refcounts } from './refcounts.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import { TableCache } from './table-cache.ts';
import { readTable } from './table-checks.ts';

/** Data behind what the image has of its own. */
export type BackingSource = {
  /** Reads zeros behind its end. */
  read(offset: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
};

/** Keys of the image's lock: guest clusters from 0 on, and below them what else may be used side by side. */
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
  /** Why the snapshot table could not be read in whole; null where it could. */
  readonly snapshotFault: BlockError | null;
  readonly backing: BackingSource | null;
};

/**
 * An open image's tables and the rules for writing them. Changed tables wait in memory until commit.ts writes them: the
 * counts first, then what points to the clusters counted, and only then do counts fall (docs/adr/0035-qcow2-crash-safety-by-one-header-write.md).
 */
export class Volume {
  readonly file: BlockFile;
  readonly header: Header;
  /** The beginning of the file as it was read or written last. */
  readonly headerBytes: Buffer;
  readonly geometry: Geometry;
  readonly backing: BackingSource | null;
  readonly snapshotFault: BlockError | null;
  readonly locks = new RangeLock();
  readonly tables: TableCache;
  /** Why an image that was to be written is open read-only, a sentence; null if it is not, or was only to be read. */
  readOnlyReason: string | null = null;
  /** Null in an image that is open read-only. */
  refcounts: Refcounts | null = null;
  pointers: Pointers;
  /** The active L1 table. */
  l1: Buffer;
  snapshots: readonly SnapshotEntry[];
  snapshotTableBytes: number;
  /** Grows each time that clusters were moved: offsets in the file that were kept before are out of date then. */
  layout = 0;
  /** Why nothing may be written any more: a write of which nobody knows what came of it. */
  broken: BlockError | null = null;
  readonly #dirtyL1 = new Set<number>();
  #lowerLater: number[] = [];
  readonly #makingTable = new Map<number, Promise<void>>();
  /** Writes that have ended, and how many of them a sync has covered. */
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

  /** Runs `work` while nothing else uses the image. */
  alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.locks.with(ALL_KEYS, work);
  }

  /** The counts. @throws BlockError if nothing may be written. */
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

  /** Guest data, or a table that nothing points to yet: a failure leaves the image as it was. */
  async write(position: number, from: Uint8Array): Promise<void> {
    try {
      await this.file.write(position, from);
    } finally {
      // Not before: what is still under way when a sync begins is not covered by it.
      this.#writes += 1;
    }
  }

  /** Tables that are in use. After a failure other than a full disk the image is broken. */
  async writeTables(writes: readonly Write[]): Promise<void> {
    for (const { position, bytes } of writes) {
      await this.write(position, bytes).catch((error: BlockError) => {
        if (error.code !== 'no_space') this.broken ??= error;
        throw error;
      });
      if (position < this.headerBytes.length) bytes.copy(this.headerBytes, position);
    }
  }

  /** The header fields that change, in one write inside a sector, and made stable. */
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

  /** The L2 table behind an entry of the active L1, not to be changed; null if there is none. */
  async activeTable(index: number): Promise<Buffer | null> {
    const offset = index * ENTRY_BYTES < this.l1.length ? offsetAt(this.l1, index) : 0;
    return offset === 0 ? null : this.tables.get(offset);
  }

  /** Sees to it that the active disk has this L2 table for itself, so that it may be changed. */
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

  /** Changes an L2 table that `ownTable` was called for; `change` must not wait. */
  async updateTable(index: number, change: (table: Buffer) => void): Promise<void> {
    await this.tables.update(offsetAt(this.l1, index), change);
  }

  /** Takes a reference away once the tables that no longer have it are in the file. */
  lowerLater(offset: number): void {
    this.#lowerLater.push(offset);
  }

  takeLowerLater(): number[] {
    const taken = this.#lowerLater;
    this.#lowerLater = [];
    return taken;
  }

  /** Changed sectors of the active L1; `giveBackL1` if writing them fails. */
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

  /** Takes note that an entry of the active L1 has changed. */
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
    // Written now already: if the disk is full, this request learns of it and not a later flush.
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
