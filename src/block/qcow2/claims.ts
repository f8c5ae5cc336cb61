import type { BlockFile } from '../file.ts';
import { BlockError } from '../image.ts';
import type { Counts } from './counts.ts';
import { FILE_CLUSTERS_MAX, type Geometry, METADATA_BYTES_MAX } from './geometry.ts';
import { assertInside } from './table-checks.ts';

/** What a cluster may be used as; a cluster is only ever one of them. */
const USES = [
  'nothing',
  'header',
  'refcount table',
  'refcount block',
  'snapshot table',
  'L1 table',
  'L2 table',
  'guest data',
  'compressed data',
] as const;
type Use = (typeof USES)[number];

const PAGE_CLUSTERS = 32_768;
/** Work done between two looks at what else there is to do. */
const PACE_BYTES = 2 * 2 ** 20;
const COUNT_MAX = 2 ** 32 - 1;

/**
 * Who uses which cluster, while an image is checked: counts references, refuses what overlaps, and keeps time and memory
 * bounded.
 */
export class Claims {
  readonly counts: Counts;
  readonly #file: BlockFile;
  readonly #geometry: Geometry;
  readonly #uses = new Map<number, Uint8Array>();
  #metadataBytes = 0;
  #sincePause = 0;

  constructor(options: { file: BlockFile; geometry: Geometry; counts: Counts }) {
    this.counts = options.counts;
    this.#file = options.file;
    this.#geometry = options.geometry;
    if (options.file.bytes / options.geometry.clusterBytes <= FILE_CLUSTERS_MAX) return;
    const limit = `${FILE_CLUSTERS_MAX} clusters of ${options.geometry.clusterBytes} bytes are allowed`;
    throw this.tooLarge(`the file has ${options.file.bytes} bytes; ${limit}`);
  }

  /** A structure that nothing else may touch. @throws BlockError */
  claim(use: Use, part: { name?: string; offset: number; bytes: number }): void {
    assertInside(this.#file, { name: part.name ?? use, offset: part.offset, bytes: part.bytes });
    const { clusterBytes } = this.#geometry;
    for (let offset = part.offset; offset < part.offset + part.bytes; offset += clusterBytes) {
      if (this.#useOf(offset) !== 0) throw this.#overlap(offset, use);
      this.refer(use, offset, 1);
    }
  }

  /** `times` references to a cluster, which may have others of the same kind. @returns true if they are the first. */
  refer(use: Use, offset: number, times: number): boolean {
    const cluster = Math.floor(offset / this.#geometry.clusterBytes);
    const page = Math.floor(cluster / PAGE_CLUSTERS);
    let uses = this.#uses.get(page);
    if (uses === undefined) {
      uses = new Uint8Array(PAGE_CLUSTERS);
      this.#uses.set(page, uses);
    }
    const code = USES.indexOf(use);
    const before = uses[cluster % PAGE_CLUSTERS]!;
    if (before !== 0 && before !== code) throw this.#overlap(offset, use);
    uses[cluster % PAGE_CLUSTERS] = code;
    this.counts.set(cluster, Math.min(COUNT_MAX, this.counts.get(cluster) + times));
    return before === 0;
  }

  /** Called for each table read: keeps the sum below its limit, and lets others work now and then. */
  async pace(bytes: number): Promise<void> {
    this.#metadataBytes += bytes;
    if (this.#metadataBytes > METADATA_BYTES_MAX) {
      throw this.tooLarge(`its tables have more than ${METADATA_BYTES_MAX} bytes in all, which is what is allowed`);
    }
    this.#sincePause += bytes;
    if (this.#sincePause < PACE_BYTES) return;
    this.#sincePause = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }

  corrupt(what: string): BlockError {
    return new BlockError('image_corrupt', `${this.#file.path}: ${what}.`);
  }

  tooLarge(what: string): BlockError {
    return new BlockError('image_too_large', `${this.#file.path}: ${what}.`);
  }

  #useOf(offset: number): number {
    const cluster = Math.floor(offset / this.#geometry.clusterBytes);
    return this.#uses.get(Math.floor(cluster / PAGE_CLUSTERS))?.[cluster % PAGE_CLUSTERS] ?? 0;
  }

  #overlap(offset: number, use: Use): BlockError {
    const other = USES[this.#useOf(offset)] ?? 'nothing';
    return this.corrupt(`the cluster at ${offset} is used as ${other} and as ${use}`);
  }
}
