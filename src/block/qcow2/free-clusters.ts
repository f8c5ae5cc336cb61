import { BlockError } from '../image.ts';
import type { Counts } from './counts.ts';
import { FILE_CLUSTERS_MAX } from './geometry.ts';

export type Stretch = { readonly offset: number; readonly bytes: number };

/** Which clusters of an image file are free, by the counts in memory; where to look for them first is remembered. */
export class FreeClusters {
  readonly #counts: Counts;
  readonly #clusterBytes: number;
  readonly #path: string;
  /** No cluster before it is free. */
  #first = 0;
  /** The same of runs of two or more: no run that was asked for so far. */
  #firstRun = 0;

  constructor(counts: Counts, of: { readonly clusterBytes: number; readonly path: string }) {
    this.#counts = counts;
    this.#clusterBytes = of.clusterBytes;
    this.#path = of.path;
  }

  /** @returns the number of the first of so many free clusters in a row. @throws BlockError if there is no room. */
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

  /** How many clusters are free in a row from `first` on, at most `clusters`; `first` is. */
  runFrom(first: number, clusters: number): number {
    let free = 1;
    while (free < clusters && first + free < FILE_CLUSTERS_MAX && this.#counts.get(first + free) === 0) free += 1;
    return free;
  }

  /** What `find` has found is being used; `asRun`: a run of so many clusters was asked for. */
  taken(first: number, clusters: number, asRun: boolean): void {
    if (asRun) this.#firstRun = first + clusters;
    else this.#first = first + clusters;
  }

  freed(cluster: number): void {
    this.#first = Math.min(this.#first, cluster);
    this.#firstRun = Math.min(this.#firstRun, cluster);
  }

  /** Counts were changed without a word. */
  forget(): void {
    this.#first = 0;
    this.#firstRun = 0;
  }

  /** True if so many clusters in a row are free before the offset `end`. */
  hasRoomBefore(end: number, clusters: number): boolean {
    return (this.find(clusters) + clusters) * this.#clusterBytes <= end;
  }

  /** The first free stretch from an offset on, of at most `bytesMax`, before the last cluster that is used; or null. */
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

  /** Of all clusters that are used. */
  usedBytes(): number {
    return this.#counts.used() * this.#clusterBytes;
  }

  full(): BlockError {
    const what = `the image file may not have more than ${FILE_CLUSTERS_MAX} clusters here`;
    return new BlockError('image_too_large', `${this.#path}: ${what}.`);
  }
}
