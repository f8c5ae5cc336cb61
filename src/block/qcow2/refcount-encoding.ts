import type { Counts } from './cluster-counts.ts';
import type { TablePlace } from './image-header.ts';
import { ENTRY_BYTES, type Geometry } from './table-format.ts';

/** Blocks and tables are written from and to multiples of this. */
const WRITE_BYTES = 512;

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

export type Write = { readonly position: number; readonly bytes: Buffer };

/** The changed counts of a block lie between these two indexes, which are included. */
export type Dirty = { first: number; last: number };

/**
 * The writes that bring the counts of the file to their state in memory. `blocks` are written first. Then either
 * `entries` add the new blocks to the table, or the header is switched to `table`, a longer table in a new place.
 */
export type CountWrites = {
  readonly blocks: readonly Write[];
  readonly entries: readonly Write[];
  readonly table: { readonly place: TablePlace; readonly bytes: Buffer } | null;
  readonly taken: { readonly dirty: ReadonlyMap<number, Dirty>; readonly fresh: readonly number[] };
};

/** Encodes a refcount block. @param of the block's number and offset, and its changed part; null: all of it. */
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

/** Sectors of the refcount table with the entries of these blocks, the last sector first: see Refcounts. */
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

/** Encodes the refcount table. @param moved new offsets of blocks that are about to move. */
export function encodeTable(entries: number, blocks: readonly number[], moved: ReadonlyMap<number, number>): Buffer {
  const bytes = Buffer.alloc(entries * ENTRY_BYTES);
  blocks.forEach((offset, block) => {
    bytes.writeBigUInt64BE(BigInt(moved.get(block) ?? offset), block * ENTRY_BYTES);
  });
  return bytes;
}

/*
 * Refcount blocks: 2^order bits per count; big-endian from 8 bits on, below 8 bits the first count is in the low bits.
 * Counts above 2^32 - 1 decode as 2^32 - 1, because no image can have so many references.
 */

export function decodeCount(block: Buffer, index: number, order: number): number {
  switch (order) {
    case 4:
      return block.readUInt16BE(index * 2);
    case 3:
      return block[index]!;
    case 5:
      return block.readUInt32BE(index * 4);
    case 6:
      return block.readUInt32BE(index * 8) === 0 ? block.readUInt32BE(index * 8 + 4) : 2 ** 32 - 1;
    default: {
      const bits = 2 ** order;
      const perByte = 8 / bits;
      return (block[Math.floor(index / perByte)]! >> ((index % perByte) * bits)) & (2 ** bits - 1);
    }
  }
}

export function encodeCount(block: Buffer, at: { index: number; count: number }, geometry: Geometry): void {
  const { index, count } = at;
  switch (geometry.refcountOrder) {
    case 4:
      block.writeUInt16BE(count, index * 2);
      return;
    case 3:
      block[index] = count;
      return;
    case 5:
      block.writeUInt32BE(count, index * 4);
      return;
    case 6:
      block.writeUInt32BE(0, index * 8);
      block.writeUInt32BE(count, index * 8 + 4);
      return;
    default: {
      const bits = 2 ** geometry.refcountOrder;
      const perByte = 8 / bits;
      const shift = (index % perByte) * bits;
      const byte = Math.floor(index / perByte);
      block[byte] = (block[byte]! & ~((2 ** bits - 1) << shift)) | (count << shift);
    }
  }
}
