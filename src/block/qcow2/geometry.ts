/*
 * Sizes that follow from the header's cluster_bits and refcount_order, and the limits of the format. Offsets and lengths
 * are bytes.
 */

export const CLUSTER_BITS_MIN = 9;
export const CLUSTER_BITS_MAX = 21;
export const REFCOUNT_ORDER_MAX = 6;
export const ENTRY_BYTES = 8;
export const L1_BYTES_MAX = 32 * 2 ** 20;
export const REFCOUNT_TABLE_BYTES_MAX = 8 * 2 ** 20;
export const SNAPSHOTS_MAX = 65_536;
export const SNAPSHOT_TABLE_BYTES_MAX = 64 * 2 ** 20;
/** Of all tables together that opening an image reads: bounds its time and memory whatever the image says. */
export const METADATA_BYTES_MAX = 2 ** 30;
/** Clusters that an image file may have here: 8 TiB with 64 KiB clusters. */
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
  /** Highest reference count; we never count beyond 2^32 - 1. */
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

/** L1 entries that a disk of this size needs. */
export function l1EntriesOf(diskBytes: number, geometry: Geometry): number {
  return Math.ceil(diskBytes / geometry.bytesPerTable);
}

export function clustersOf(bytes: number, geometry: Geometry): number {
  return Math.ceil(bytes / geometry.clusterBytes);
}
