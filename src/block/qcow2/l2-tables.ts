import { BlockError } from '../image.ts';
import type { BlockFile } from '../image-file.ts';
import type { Header } from './image-header.ts';
import { compressedAt, type Geometry, isEmpty, kindAt, l2Fault, offsetAt, type Write } from './table-format.ts';

/** An L2 table in memory. `dirty`: changed since it was last taken to be written. */
type CachedTable = { readonly bytes: Buffer; dirty: boolean; writing: boolean };

/**
 * L2 tables by their offset in the file; the least recently used table is evicted first. A changed table stays until it
 * was taken and written. The content of a table may be changed only by `update`.
 */
export class TableCache {
  readonly #load: (offset: number) => Promise<Buffer>;
  readonly #tablesMax: number;
  readonly #tables = new Map<number, CachedTable>();
  readonly #loading = new Map<number, Promise<Buffer>>();
  #dirty = 0;

  constructor(options: { load: (offset: number) => Promise<Buffer>; tablesMax: number }) {
    this.#load = options.load;
    this.#tablesMax = options.tablesMax;
  }

  /** True if so many tables have changed that they should be written. */
  get wantsWriting(): boolean {
    return this.#dirty * 2 >= this.#tablesMax;
  }

  get isDirty(): boolean {
    return this.#dirty > 0;
  }

  /** The table at `offset`, which must not be changed. */
  async get(offset: number): Promise<Buffer> {
    const cached = this.#tables.get(offset);
    if (cached === undefined) return this.#loadOnce(offset);
    this.#tables.delete(offset);
    this.#tables.set(offset, cached);
    return cached.bytes;
  }

  /** The table at `offset`, read from the file unless the table in memory is not yet written. */
  async fresh(offset: number): Promise<Buffer> {
    const cached = this.#tables.get(offset);
    return cached?.dirty || cached?.writing ? cached.bytes : this.#load(offset);
  }

  /** Changes the table at `offset`. `change` is synchronous. */
  async update(offset: number, change: (table: Buffer) => void): Promise<void> {
    for (;;) {
      const cached = this.#tables.get(offset);
      if (cached !== undefined) {
        change(cached.bytes);
        this.#markDirty(cached);
        return;
      }
      await this.#loadOnce(offset);
    }
  }

  /** Adds a new table, which is written with the next commit. */
  putDirty(offset: number, bytes: Buffer): void {
    this.drop(offset);
    const cached = { bytes, dirty: false, writing: false };
    this.#tables.set(offset, cached);
    this.#markDirty(cached);
    this.#evict();
  }

  /** Removes a table whose cluster was freed. */
  drop(offset: number): void {
    this.#loading.delete(offset);
    if (this.#tables.get(offset)?.dirty) this.#dirty -= 1;
    this.#tables.delete(offset);
  }

  /** Takes copies of all changed tables. Call `written` or `giveBack` afterwards. */
  take(): Write[] {
    const writes: Write[] = [];
    for (const [offset, cached] of this.#tables) {
      if (!cached.dirty) continue;
      writes.push({ position: offset, bytes: Buffer.from(cached.bytes) });
      cached.dirty = false;
      cached.writing = true;
    }
    this.#dirty = 0;
    return writes;
  }

  written(writes: readonly Write[]): void {
    for (const { position } of writes) {
      const cached = this.#tables.get(position);
      if (cached !== undefined) cached.writing = false;
    }
    this.#evict();
  }

  giveBack(writes: readonly Write[]): void {
    for (const { position } of writes) {
      const cached = this.#tables.get(position);
      if (cached === undefined) continue;
      cached.writing = false;
      this.#markDirty(cached);
    }
  }

  #markDirty(cached: CachedTable): void {
    if (!cached.dirty) this.#dirty += 1;
    cached.dirty = true;
  }

  async #loadOnce(offset: number): Promise<Buffer> {
    const pending = this.#loading.get(offset);
    if (pending !== undefined) return pending;
    const loading = this.#load(offset);
    this.#loading.set(offset, loading);
    try {
      const bytes = await loading;
      // If `drop` was called during the read, the cluster is no longer a table.
      if (this.#loading.get(offset) === loading) {
        this.#tables.set(offset, { bytes, dirty: false, writing: false });
        this.#evict();
      }
      return bytes;
    } finally {
      if (this.#loading.get(offset) === loading) this.#loading.delete(offset);
    }
  }

  #evict(): void {
    if (this.#tables.size <= this.#tablesMax) return;
    for (const [offset, { dirty, writing }] of this.#tables) {
      if (this.#tables.size <= this.#tablesMax) return;
      if (!dirty && !writing) this.#tables.delete(offset);
    }
  }
}

/*
 * Checks of a single table. Every L2 table is checked each time it is read, so that no other code meets an offset
 * outside the file.
 */

export type TableSource = { readonly file: BlockFile; readonly header: Header };

/** @throws BlockError `image_truncated`, `image_corrupt` */
export async function readTable(source: TableSource, offset: number): Promise<Buffer> {
  const { clusterBytes } = source.header.geometry;
  assertInside(source.file, { name: 'L2 table', offset, bytes: clusterBytes });
  const table = Buffer.allocUnsafeSlow(clusterBytes);
  await source.file.read(offset, table);
  checkTable(source, table, offset);
  return table;
}

/** @throws BlockError if the structure reaches beyond the end of the file. */
export function assertInside(file: BlockFile, part: FilePart): void {
  const fault = insideFault(file, part);
  if (fault !== null) throw fault;
}

/** A structure in the file, for error messages; bytes. */
export type FilePart = { readonly name: string; readonly offset: number; readonly bytes: number };

/** The error if the structure reaches beyond the end of the file; otherwise null. */
export function insideFault(file: BlockFile, part: FilePart): BlockError | null {
  if (part.offset + part.bytes <= file.bytes) return null;
  const message = `${file.path}: the ${part.name} at ${part.offset} has ${part.bytes} bytes, but the file ends at ${file.bytes}.`;
  return new BlockError('image_truncated', message);
}

function checkTable(source: TableSource, table: Buffer, at: number): void {
  const { file, header } = source;
  const { geometry, version } = header;
  for (let index = 0; index < geometry.tableEntries; index += 1) {
    const kind = kindAt(table, index);
    if (kind === 'unallocated' && isEmpty(table, index)) continue;
    if (kind === 'compressed') {
      const { offset } = compressedAt(table, index, geometry);
      if (offset >= file.bytes) throw outside(file, { at, index, offset });
      continue;
    }
    const offset = offsetAt(table, index);
    const fault = l2Fault(table, index, version) ?? alignmentFault(offset, geometry);
    if (fault !== null) throw entryError(file, { name: 'L2 table', at, index, fault });
    // The last cluster of a file may be incomplete.
    if (offset >= file.bytes) throw outside(file, { at, index, offset });
  }
}

export function alignmentFault(offset: number, geometry: Geometry): string | null {
  return offset % geometry.clusterBytes === 0 ? null : `points to ${offset}, which is not on a cluster`;
}

export function entryError(
  file: BlockFile,
  entry: { name: string; at: number; index: number; fault: string },
): BlockError {
  const where = `entry ${entry.index} of the ${entry.name} at ${entry.at}`;
  return new BlockError('image_corrupt', `${file.path}: ${where} ${entry.fault}.`);
}

function outside(file: BlockFile, entry: { at: number; index: number; offset: number }): BlockError {
  const where = `entry ${entry.index} of the L2 table at ${entry.at} points to ${entry.offset}`;
  return new BlockError('image_truncated', `${file.path}: ${where}, but the file ends at ${file.bytes}.`);
}
