import { encodeCount } from './count-codec.ts';
import type { Counts } from './counts.ts';
import { ENTRY_BYTES, type Geometry } from './geometry.ts';
import type { TablePlace } from './header.ts';

/** Blocks and tables are written from and to multiples of this. */
const WRITE_BYTES = 512;

/** What an image's counts are made of. */
export type RefcountOptions = {
  readonly path: string;
  readonly geometry: Geometry;
  readonly counts: Counts;
  readonly place: TablePlace;
  /** Offset of each refcount block, 0 for none. */
  readonly blocks: number[];
  /** Told of each cluster that nobody uses any more. */
  readonly onFree: (offset: number) => void;
};

export type Write = { readonly position: number; readonly bytes: Buffer };

/** Counts of a block that differ from the file's lie between these two. */
export type Dirty = { first: number; last: number };

/**
 * What has to be written so that the file's counts are those in memory, as of one moment. `blocks` come first; then
 * `entries`, which make new blocks known; or `table`, a longer table in a new place that the header is turned to.
 */
export type CountWrites = {
  readonly blocks: readonly Write[];
  readonly entries: readonly Write[];
  readonly table: { readonly place: TablePlace; readonly bytes: Buffer } | null;
  readonly taken: { readonly dirty: ReadonlyMap<number, Dirty>; readonly fresh: readonly number[] };
};

/** @param of the block, where it lies, and the part of it to be written; null is all. */
export function encodeBlock(
  of: { block: number; offset: number; dirty: Dirty | null },
  counts: Counts,
  geometry: Geometry,
): Write {
  const { countsPerBlock, clusterBytes } = geometry;
  const bytesPerCount = clusterBytes / countsPerBlock;
  const { first, last } = of.dirty ?? { first: 0, last: countsPerBlock - 1 };
  const from = Math.floor((first * bytesPerCount) / WRITE_BYTES) * WRITE_BYTES;
  const to = (Math.floor((last * bytesPerCount) / WRITE_BYTES) + 1) * WRITE_BYTES;
  const bytes = Buffer.alloc(to - from);
  const firstCluster = of.block * countsPerBlock + from / bytesPerCount;
  for (let index = 0; index < (to - from) / bytesPerCount; index += 1) {
    const count = counts.get(firstCluster + index);
    if (count > 0) encodeCount(bytes, { index, count }, geometry);
  }
  return { position: of.offset + from, bytes };
}

/** Sectors of the refcount table that make these blocks known, the last first: see the head of Refcounts. */
export function encodeEntries(fresh: readonly number[], blocks: readonly number[], place: TablePlace): Write[] {
  const entriesPerWrite = WRITE_BYTES / ENTRY_BYTES;
  const numbers = new Set(fresh.map((block) => Math.floor(block / entriesPerWrite)));
  return [...numbers]
    .sort((a, b) => b - a)
    .map((number) => {
      const bytes = Buffer.alloc(WRITE_BYTES);
      for (let index = 0; index < entriesPerWrite; index += 1) {
        const offset = blocks[number * entriesPerWrite + index] ?? 0;
        bytes.writeBigUInt64BE(BigInt(offset), index * ENTRY_BYTES);
      }
      return { position: place.offset + number * WRITE_BYTES, bytes };
    });
}

/** @param moved places of blocks that are about to change. */
export function encodeTable(entries: number, blocks: readonly number[], moved: ReadonlyMap<number, number>): Buffer {
  const bytes = Buffer.alloc(entries * ENTRY_BYTES);
  blocks.forEach((offset, block) => {
    bytes.writeBigUInt64BE(BigInt(moved.get(block) ?? offset), block * ENTRY_BYTES);
  });
  return bytes;
}
