import { BlockError } from '../image.ts';
import { FILE_CLUSTERS_MAX, type Geometry, type TablePlace } from './table-format.ts';

const PAGE_BITS = 15;
const PAGE_ENTRIES = 2 ** PAGE_BITS;
const PAGE_MASK = PAGE_ENTRIES - 1;

/**
 * Reference counts of all clusters of an image file, in memory. Ranges in which all counts are 0 use no memory. `undo`
 * takes back all changes since `beginUndo`.
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

  /** The first cluster at or behind `from` with count 0. */
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

  /** Ranges of clusters that may have counts; all other counts are 0. */
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

export type Stretch = { readonly offset: number; readonly bytes: number };

/** Finds free clusters of an image file, by the counts in memory, and remembers where to start the search. */
export class FreeClusters {
  readonly #counts: Counts;
  readonly #clusterBytes: number;
  readonly #path: string;
  /** No cluster before this one is free. */
  #first = 0;
  /** Start of the search for two or more adjacent clusters: no run of a requested length begins before it. */
  #firstRun = 0;

  constructor(counts: Counts, of: { readonly clusterBytes: number; readonly path: string }) {
    this.#counts = counts;
    this.#clusterBytes = of.clusterBytes;
    this.#path = of.path;
  }

  /** @returns the number of the first of `clusters` adjacent free clusters. @throws BlockError if there is no room. */
  find(clusters: number): number {
    let first = this.#counts.firstFree(clusters === 1 ? this.#first : Math.max(this.#first, this.#firstRun));
    for (let index = 0; index < clusters; index += 1) {
      const cluster = first + index;
      if (cluster >= FILE_CLUSTERS_MAX) throw this.full();
      if (this.#counts.get(cluster) === 0) continue;
      first = this.#counts.firstFree(cluster + 1);
      index = -1;
    }
    return first;
  }

  /** Number of adjacent free clusters from `first` on, at most `clusters`; `first` must be free. */
  runFrom(first: number, clusters: number): number {
    let free = 1;
    while (free < clusters && first + free < FILE_CLUSTERS_MAX && this.#counts.get(first + free) === 0) free += 1;
    return free;
  }

  /** Clusters that `find` found are now in use. @param asRun true if all of them were requested as one run. */
  taken(first: number, clusters: number, asRun: boolean): void {
    if (asRun) this.#firstRun = first + clusters;
    else this.#first = first + clusters;
  }

  freed(cluster: number): void {
    this.#first = Math.min(this.#first, cluster);
    this.#firstRun = Math.min(this.#firstRun, cluster);
  }

  /** Starts the next search at 0, after counts were changed without `freed`. */
  forget(): void {
    this.#first = 0;
    this.#firstRun = 0;
  }

  /** True if `clusters` adjacent clusters are free before the offset `end`. */
  hasRoomBefore(end: number, clusters: number): boolean {
    return (this.find(clusters) + clusters) * this.#clusterBytes <= end;
  }

  /** The first free range at or behind an offset, of at most `bytesMax`, before the last used cluster; null if none. */
  stretchFrom(offset: number, bytesMax: number): Stretch | null {
    const end = this.#counts.end();
    const first = this.#counts.firstFree(Math.floor(offset / this.#clusterBytes));
    if (first >= end) return null;
    const clusters = this.runFrom(first, Math.min(end - first, Math.ceil(bytesMax / this.#clusterBytes)));
    return { offset: first * this.#clusterBytes, bytes: clusters * this.#clusterBytes };
  }

  /** Offset of the last used cluster before the offset `end`, or null. */
  lastUsedBefore(end: number): number | null {
    const last = this.#counts.lastUsed(Math.floor(end / this.#clusterBytes));
    return last === null ? null : last * this.#clusterBytes;
  }

  /** Bytes of all used clusters. */
  usedBytes(): number {
    return this.#counts.used() * this.#clusterBytes;
  }

  full(): BlockError {
    const what = `the image file may not have more than ${FILE_CLUSTERS_MAX} clusters here`;
    return new BlockError('image_too_large', `${this.#path}: ${what}.`);
  }
}

export type Run = { readonly first: number; readonly clusters: number };

/** Freed clusters; clusters that were freed in ascending order are joined to runs. */
export class FreedRuns {
  #runs: { first: number; clusters: number }[] = [];

  add(cluster: number): void {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.first + last.clusters === cluster) last.clusters += 1;
    else this.#runs.push({ first: cluster, clusters: 1 });
  }

  /** The runs added since the last call, without the clusters that are in use again. */
  take(isFree: (cluster: number) => boolean): Run[] {
    const added = this.#runs;
    this.#runs = [];
    const free = new FreedRuns();
    for (const { first, clusters } of added) {
      for (let cluster = first; cluster < first + clusters; cluster += 1) if (isFree(cluster)) free.add(cluster);
    }
    return free.#runs;
  }
}

/** The parts of the reference counts of an image. */
export type RefcountOptions = {
  readonly path: string;
  readonly geometry: Geometry;
  readonly counts: Counts;
  readonly place: TablePlace;
  /** Offset of each refcount block, 0 for none. */
  readonly blocks: number[];
  /** Called with the offset of each cluster whose count becomes 0. */
  readonly onFree: (offset: number) => void;
};
