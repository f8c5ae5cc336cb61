const PAGE_BITS = 15;
const PAGE_ENTRIES = 2 ** PAGE_BITS;
const PAGE_MASK = PAGE_ENTRIES - 1;

/**
 * Reference counts of all clusters of an image file, in memory. Stretches in which all are 0 take no memory. Between
 * `beginUndo` and `keep` every change can be taken back.
 */
export class Counts {
  #pages = new Map<number, Uint32Array>();
  #before: Map<number, Uint32Array | null> | null = null;

  get(cluster: number): number {
    return this.#pages.get(Math.floor(cluster / PAGE_ENTRIES))?.[cluster & PAGE_MASK] ?? 0;
  }

  set(cluster: number, count: number): void {
    const number = Math.floor(cluster / PAGE_ENTRIES);
    let page = this.#pages.get(number);
    if (this.#before?.has(number) === false) this.#before.set(number, page === undefined ? null : page.slice());
    if (page === undefined) {
      page = new Uint32Array(PAGE_ENTRIES);
      this.#pages.set(number, page);
    }
    page[cluster & PAGE_MASK] = count;
  }

  /** The first cluster from `from` on that nobody uses. */
  firstFree(from: number): number {
    for (let cluster = from; ; cluster = (Math.floor(cluster / PAGE_ENTRIES) + 1) * PAGE_ENTRIES) {
      const page = this.#pages.get(Math.floor(cluster / PAGE_ENTRIES));
      if (page === undefined) return cluster;
      const index = page.indexOf(0, cluster & PAGE_MASK);
      if (index >= 0) return cluster - (cluster & PAGE_MASK) + index;
    }
  }

  /** One more than the last cluster that is used. */
  end(): number {
    const highest = Math.max(-1, ...this.#pages.keys());
    return (this.lastUsed((highest + 1) * PAGE_ENTRIES) ?? -1) + 1;
  }

  /** The last cluster before `end` that is used, or null if none is. */
  lastUsed(end: number): number | null {
    let above = end;
    while (above > 0) {
      const number = Math.floor((above - 1) / PAGE_ENTRIES);
      const page = this.#pages.get(number);
      const last = page?.subarray(0, above - number * PAGE_ENTRIES).findLastIndex((count) => count !== 0) ?? -1;
      if (last >= 0) return number * PAGE_ENTRIES + last;
      above = number * PAGE_ENTRIES;
    }
    return null;
  }

  /** How many clusters are used. */
  used(): number {
    let used = 0;
    for (const page of this.#pages.values()) for (const count of page) if (count !== 0) used += 1;
    return used;
  }

  /** Stretches of clusters that may have counts; elsewhere all are 0. */
  *stretches(): Iterable<{ readonly first: number; readonly counts: Uint32Array }> {
    for (const [number, counts] of this.#pages) yield { first: number * PAGE_ENTRIES, counts };
  }

  beginUndo(): void {
    this.#before = new Map();
  }

  keep(): void {
    this.#before = null;
  }

  undo(): void {
    for (const [number, page] of this.#before ?? []) {
      if (page === null) this.#pages.delete(number);
      else this.#pages.set(number, page);
    }
    this.#before = null;
  }
}
