import type { Write } from './refcount-encoding.ts';

/** An L2 table in memory, as it is or will be in the file. */
type CachedTable = { readonly bytes: Buffer; dirty: boolean; writing: boolean };

/**
 * L2 tables by their offset in the file, the least recently used thrown out first. A changed table stays until `take`
 * and `written`; its content may be changed only inside `update`.
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

  /** True once so many tables have changed that they should be written. */
  get wantsWriting(): boolean {
    return this.#dirty * 2 >= this.#tablesMax;
  }

  get isDirty(): boolean {
    return this.#dirty > 0;
  }

  /** The table at `offset`, not to be changed. */
  async get(offset: number): Promise<Buffer> {
    const cached = this.#tables.get(offset);
    if (cached === undefined) return this.#loadOnce(offset);
    this.#tables.delete(offset);
    this.#tables.set(offset, cached);
    return cached.bytes;
  }

  /** The table at `offset` as the file has it now; what is in memory counts only where it has yet to be written. */
  async fresh(offset: number): Promise<Buffer> {
    const cached = this.#tables.get(offset);
    return cached?.dirty || cached?.writing ? cached.bytes : this.#load(offset);
  }

  /** Changes the table at `offset`; `change` must not wait for anything. */
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

  /** Adds a table that the file may not have yet. */
  putDirty(offset: number, bytes: Buffer): void {
    this.drop(offset);
    const cached = { bytes, dirty: false, writing: false };
    this.#tables.set(offset, cached);
    this.#markDirty(cached);
    this.#evict();
  }

  /** Forgets the table: the cluster is no longer one. */
  drop(offset: number): void {
    this.#loading.delete(offset);
    if (this.#tables.get(offset)?.dirty) this.#dirty -= 1;
    this.#tables.delete(offset);
  }

  /** Copies of all changed tables; each counts as written unless `giveBack` says otherwise. */
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
      // Dropped meanwhile: what was read is no table any more.
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
