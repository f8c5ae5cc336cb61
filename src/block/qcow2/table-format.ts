/*
 * Layout of the tables of a qcow2 image: sizes, limits and entries. Sizes follow from the header's cluster_bits and
 * refcount_order. Offsets and lengths are bytes.
 */

export const CLUSTER_BITS_MIN = 9;
export const CLUSTER_BITS_MAX = 21;
export const REFCOUNT_ORDER_MAX = 6;
export const ENTRY_BYTES = 8;
export const L1_BYTES_MAX = 32 * 2 ** 20;
export const REFCOUNT_TABLE_BYTES_MAX = 8 * 2 ** 20;
export const SNAPSHOTS_MAX = 65_536;
export const SNAPSHOT_TABLE_BYTES_MAX = 64 * 2 ** 20;
/** Most bytes of tables that opening an image reads. Limits time and memory for any image. */
export const METADATA_BYTES_MAX = 2 ** 30;
/** Most clusters of an image file: 8 TiB with 64 KiB clusters. */
export const FILE_CLUSTERS_MAX = 2 ** 27;
/** Clean and dirty L2 tables kept in memory. */
export const TABLE_CACHE_BYTES = 32 * 2 ** 20;

export type Geometry = {
  readonly clusterBits: number;
  readonly clusterBytes: number;
  /** Entries of an L2 table, and of a cluster of an L1 or refcount table. */
  readonly tableEntries: number;
  /** Guest bytes that one L2 table maps. */
  readonly bytesPerTable: number;
  /** Bits of a reference count are 2 to the power of this. */
  readonly refcountOrder: number;
  readonly countsPerBlock: number;
  /** Highest reference count, at most 2^32 - 1. */
  readonly countMax: number;
};

export function geometryOf(clusterBits: number, refcountOrder: number): Geometry {
  const clusterBytes = 2 ** clusterBits;
  const tableEntries = clusterBytes / ENTRY_BYTES;
  const refcountBits = 2 ** refcountOrder;
  return {
    clusterBits,
    clusterBytes,
    tableEntries,
    bytesPerTable: clusterBytes * tableEntries,
    refcountOrder,
    countsPerBlock: (clusterBytes * 8) / refcountBits,
    countMax: 2 ** Math.min(32, refcountBits) - 1,
  };
}

/** Place of a table in the file: its offset in bytes, and the number of its entries. */
export type TablePlace = { readonly offset: number; readonly entries: number };

/** L1 entries that a disk of this size needs. */
export function l1EntriesOf(diskBytes: number, geometry: Geometry): number {
  return Math.ceil(diskBytes / geometry.bytesPerTable);
}

export function clustersOf(bytes: number, geometry: Geometry): number {
  return Math.ceil(bytes / geometry.clusterBytes);
}

/*
 * Entries of L1, L2 and refcount tables: big-endian u64.
 *   L1, standard L2: bits 9..55 offset, bit 63 COPIED, L2 also bit 0 reads-as-zero; all others 0.
 *   compressed L2: bit 62, bits 0..x-1 byte offset, x..61 sectors of 512 bytes beyond the first, x = 70 - cluster_bits.
 *   refcount table: bits 9..63 offset.
 * Tables stay encoded in memory, and single entries are decoded: most entries of a table are never used.
 */

const COPIED = 0x8000_0000;
const COMPRESSED = 0x4000_0000;
const HIGH_RESERVED = 0x3f00_0000;
const ZERO = 1;
const SECTOR_BYTES = 512;

export type EntryKind = 'unallocated' | 'zero' | 'data' | 'compressed';

/** Offset of an L1 or L2 entry, in bytes. */
export function offsetAt(table: Buffer, index: number): number {
  const high = table.readUInt32BE(index * 8) & 0x00ff_ffff;
  const low = table.readUInt32BE(index * 8 + 4);
  return high * 2 ** 32 + (low - (low & 0x1ff));
}

export function isCopied(table: Buffer, index: number): boolean {
  return (table[index * 8]! & 0x80) !== 0;
}

export function isEmpty(table: Buffer, index: number): boolean {
  return table.readUInt32BE(index * 8 + 4) === 0 && table.readUInt32BE(index * 8) === 0;
}

/** The kind of an L2 entry. A zero cluster may have an offset. */
export function kindAt(table: Buffer, index: number): EntryKind {
  const high = table.readUInt32BE(index * 8);
  const low = table.readUInt32BE(index * 8 + 4);
  if ((high & COMPRESSED) !== 0) return 'compressed';
  if ((low & ZERO) !== 0) return 'zero';
  return low === 0 && (high & 0x00ff_ffff) === 0 ? 'unallocated' : 'data';
}

/** Sets offset and COPIED flag of an entry; offset 0 empties it. */
export function setPointer(table: Buffer, index: number, pointer: { offset: number; copied: boolean }): void {
  const high = Math.floor(pointer.offset / 2 ** 32);
  table.writeUInt32BE((high | (pointer.copied ? COPIED : 0)) >>> 0, index * 8);
  table.writeUInt32BE(pointer.offset % 2 ** 32, index * 8 + 4);
}

/** Sets the offset of an entry and keeps its flags. */
export function movePointer(table: Buffer, index: number, offset: number): void {
  const flags = { high: table.readUInt32BE(index * 8) & 0xff00_0000, low: table.readUInt32BE(index * 8 + 4) & 0x1ff };
  table.writeUInt32BE((flags.high | Math.floor(offset / 2 ** 32)) >>> 0, index * 8);
  table.writeUInt32BE((offset % 2 ** 32) + flags.low, index * 8 + 4);
}

/** Makes an L2 entry read as zeros, without a cluster. */
export function setZero(table: Buffer, index: number): void {
  table.writeUInt32BE(0, index * 8);
  table.writeUInt32BE(ZERO, index * 8 + 4);
}

export function setCopied(table: Buffer, index: number, copied: boolean): void {
  const byte = table[index * 8]!;
  table[index * 8] = copied ? byte | 0x80 : byte & 0x7f;
}

/** Place of a compressed cluster; `bytes` extends to the end of its last sector. */
export type CompressedCluster = { readonly offset: number; readonly bytes: number };

export function compressedAt(table: Buffer, index: number, geometry: Geometry): CompressedCluster {
  const entry = table.readBigUInt64BE(index * 8) & 0x3fff_ffff_ffff_ffffn;
  const offsetBits = BigInt(70 - geometry.clusterBits);
  const offset = Number(entry & ((1n << offsetBits) - 1n));
  const sectors = Number(entry >> offsetBits) + 1;
  return { offset, bytes: sectors * SECTOR_BYTES - (offset % SECTOR_BYTES) };
}

/** The fault of an L1 entry as a clause, or null. */
export function l1Fault(table: Buffer, index: number): string | null {
  const high = table.readUInt32BE(index * 8);
  const low = table.readUInt32BE(index * 8 + 4);
  if ((high & (HIGH_RESERVED | COMPRESSED)) !== 0 || (low & 0x1ff) !== 0) return 'has reserved bits set';
  // QEMU would use the header as the L2 table.
  return high === COPIED && low === 0 ? 'has COPIED set and no offset' : null;
}

/** The fault of a standard L2 entry as a clause, or null. Bit 0 means zeros from version 3 on. */
export function l2Fault(table: Buffer, index: number, version: number): string | null {
  const high = table.readUInt32BE(index * 8);
  const low = table.readUInt32BE(index * 8 + 4);
  const lowReserved = version < 3 ? 0x1ff : 0x1fe;
  return (high & HIGH_RESERVED) !== 0 || (low & lowReserved) !== 0 ? 'has reserved bits set' : null;
}

export function refcountTableFault(table: Buffer, index: number): string | null {
  return (table.readUInt32BE(index * 8 + 4) & 0x1ff) !== 0 ? 'has reserved bits set' : null;
}

/** The offset of a refcount block, 55 bits. Values above 2^53 are not exact, but no file is so long. */
export function refcountBlockOffsetAt(table: Buffer, index: number): number {
  const low = table.readUInt32BE(index * 8 + 4);
  return table.readUInt32BE(index * 8) * 2 ** 32 + (low - (low & 0x1ff));
}

/** Refcount blocks and tables are written in aligned units of this size. */
const WRITE_BYTES = 512;

export type Write = { readonly position: number; readonly bytes: Buffer };

/** First and last index of the changed counts of a block, both included. */
export type Dirty = { first: number; last: number };

/**
 * The writes that bring the counts of the file to their state in memory. `blocks` are written first. Then either
 * `entries` add the new blocks to the table, or the header is switched to `table`, a longer table in a new place.
 */
export type CountWrites = {
  readonly blocks: readonly Write[];
  readonly entries: readonly Write[];
  readonly table: { readonly place: TablePlace; readonly bytes: Buffer } | null;
  /** The changes that these writes contain. */
  readonly taken: { readonly dirty: ReadonlyMap<number, Dirty>; readonly fresh: readonly number[] };
};

/** Encodes a refcount block. `dirty`: its changed part; null: all of it. */
export function encodeBlock(
  what: { block: number; offset: number; dirty: Dirty | null },
  counts: { get(cluster: number): number },
  geometry: Geometry,
): Write {
  const { countsPerBlock, clusterBytes } = geometry;
  const bytesPerCount = clusterBytes / countsPerBlock;
  const { first, last } = what.dirty ?? { first: 0, last: countsPerBlock - 1 };
  const from = Math.floor((first * bytesPerCount) / WRITE_BYTES) * WRITE_BYTES;
  const to = (Math.floor((last * bytesPerCount) / WRITE_BYTES) + 1) * WRITE_BYTES;
  const bytes = Buffer.alloc(to - from);
  const firstCluster = what.block * countsPerBlock + from / bytesPerCount;
  for (let index = 0; index < (to - from) / bytesPerCount; index += 1) {
    const count = counts.get(firstCluster + index);
    if (count > 0) encodeCount(bytes, { index, count }, geometry);
  }
  return { position: what.offset + from, bytes };
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
