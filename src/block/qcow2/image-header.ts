import { BlockError } from '../image.ts';
import { decodeExtensions, type Extensions } from './header-extensions.ts';
import {
  CLUSTER_BITS_MAX,
  CLUSTER_BITS_MIN,
  type Geometry,
  geometryOf,
  L1_BYTES_MAX,
  l1EntriesOf,
  REFCOUNT_ORDER_MAX,
  REFCOUNT_TABLE_BYTES_MAX,
  type TablePlace,
} from './table-format.ts';

/*
 * The header at offset 0, big-endian. All variable fields lie in the first sector, so that one write changes them
 * together:
 *   0 magic, 4 version, 8 backing name offset u64, 16 its length u32, 20 cluster_bits u32, 24 disk bytes u64,
 *   32 encryption u32, 36 L1 entries u32, 40 L1 offset u64, 48 refcount table offset u64, 56 its clusters u32,
 *   60 snapshots u32, 64 snapshot table offset u64; from version 3 on 72 incompatible, 80 compatible, 88 autoclear
 *   features u64, 96 refcount_order u32, 100 header bytes u32, 104 compression type u8 (where the header is that long).
 */

export const MAGIC = 0x5146_49fb;
export const HEADER_BYTES = 112;
const HEADER_BYTES_V2 = 72;
const HEADER_BYTES_V3_MIN = 104;
const BACKING_NAME_BYTES_MAX = 1023;

export const INCOMPATIBLE = { dirty: 1n, corrupt: 2n, externalData: 4n, compressionType: 8n, extendedL2: 16n } as const;
const INCOMPATIBLE_KNOWN = INCOMPATIBLE.dirty | INCOMPATIBLE.corrupt | INCOMPATIBLE.compressionType;

/** The fields that change while an image is open; they lie between 24 and 72. */
export type Pointers = {
  readonly diskBytes: number;
  readonly l1: TablePlace;
  /** `entries` is a multiple of the entries of a cluster. */
  readonly refcountTable: TablePlace;
  /** `entries` is the number of snapshots. */
  readonly snapshotTable: TablePlace;
};

export type Header = {
  readonly version: 2 | 3;
  readonly geometry: Geometry;
  readonly pointers: Pointers;
  readonly backingName: string | null;
  readonly compression: 'zlib' | 'zstd';
  readonly incompatible: bigint;
  readonly compatible: bigint;
  readonly autoclear: bigint;
  readonly extensions: Extensions;
};

/** Decodes a header. @param cluster the first cluster, or as much of it as the file contains. @throws BlockError */
export function decodeHeader(cluster: Buffer, path: string): Header {
  if (cluster.length < 4 || cluster.readUInt32BE(0) !== MAGIC) {
    throw new BlockError('image_not_qcow2', `${path} does not begin with the four bytes of a qcow2 image.`);
  }
  if (cluster.length < HEADER_BYTES_V2) throw truncated(path, HEADER_BYTES_V2, cluster.length);
  const version = cluster.readUInt32BE(4);
  if (version !== 2 && version !== 3) {
    throw new BlockError('image_unsupported', `${path}: the header says version ${version}; 2 and 3 are known.`);
  }
  const headerBytes = headerBytesOf(cluster, version, path);
  const geometry = decodeGeometry(cluster, version, path);
  const features = (offset: number) => (version === 3 ? cluster.readBigUInt64BE(offset) : 0n);
  const header: Header = {
    version,
    geometry,
    pointers: decodePointers(cluster, geometry, path),
    backingName: decodeBackingName(cluster, geometry, path),
    compression: headerBytes > 104 && cluster[104] === 1 ? 'zstd' : 'zlib',
    incompatible: features(72),
    compatible: features(80),
    autoclear: features(88),
    extensions: decodeExtensions(cluster.subarray(0, geometry.clusterBytes), headerBytes, path),
  };
  refuseUnsupported(cluster, header, { headerBytes, path });
  return header;
}

/** Bytes 24 to 71 of the header: one write inside a sector makes all new tables valid. */
export function encodePointers(pointers: Pointers, geometry: Geometry): Buffer {
  const bytes = Buffer.alloc(48);
  bytes.writeBigUInt64BE(BigInt(pointers.diskBytes), 0);
  bytes.writeUInt32BE(pointers.l1.entries, 12);
  bytes.writeBigUInt64BE(BigInt(pointers.l1.offset), 16);
  bytes.writeBigUInt64BE(BigInt(pointers.refcountTable.offset), 24);
  bytes.writeUInt32BE(pointers.refcountTable.entries / geometry.tableEntries, 32);
  bytes.writeUInt32BE(pointers.snapshotTable.entries, 36);
  bytes.writeBigUInt64BE(BigInt(pointers.snapshotTable.offset), 40);
  return bytes;
}

export const POINTERS_OFFSET = 24;
export const INCOMPATIBLE_OFFSET = 72;
export const AUTOCLEAR_OFFSET = 88;

/** A version 3 header without extensions and backing file. */
export function encodeHeader(pointers: Pointers, geometry: Geometry): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(geometry.clusterBits, 20);
  encodePointers(pointers, geometry).copy(bytes, POINTERS_OFFSET);
  bytes.writeUInt32BE(geometry.refcountOrder, 96);
  bytes.writeUInt32BE(HEADER_BYTES, 100);
  return bytes;
}

function headerBytesOf(cluster: Buffer, version: 2 | 3, path: string): number {
  if (version === 2) return HEADER_BYTES_V2;
  if (cluster.length < HEADER_BYTES_V3_MIN) throw truncated(path, HEADER_BYTES_V3_MIN, cluster.length);
  const bytes = cluster.readUInt32BE(100);
  if (bytes < HEADER_BYTES_V3_MIN || bytes % 8 !== 0 || bytes > 2 ** cluster.readUInt32BE(20)) {
    throw corrupt(
      path,
      `header length at 100 is ${bytes}; at least 104, a multiple of 8 and at most a cluster is valid`,
    );
  }
  if (cluster.length < bytes) throw truncated(path, bytes, cluster.length);
  return bytes;
}

function decodeGeometry(cluster: Buffer, version: 2 | 3, path: string): Geometry {
  const clusterBits = cluster.readUInt32BE(20);
  if (clusterBits < CLUSTER_BITS_MIN || clusterBits > CLUSTER_BITS_MAX) {
    const range = `${CLUSTER_BITS_MIN} to ${CLUSTER_BITS_MAX}`;
    throw corrupt(path, `cluster_bits at 20 is ${clusterBits}; ${range} is valid`);
  }
  const order = version === 3 ? cluster.readUInt32BE(96) : 4;
  if (order > REFCOUNT_ORDER_MAX) {
    throw corrupt(path, `refcount_order at 96 is ${order}; 0 to ${REFCOUNT_ORDER_MAX} is valid`);
  }
  return geometryOf(clusterBits, order);
}

function decodePointers(cluster: Buffer, geometry: Geometry, path: string): Pointers {
  const offset = (at: number, name: string) => {
    const value = Number(cluster.readBigUInt64BE(at));
    if (value % geometry.clusterBytes === 0 && value < 2 ** 53) return value;
    throw corrupt(path, `offset of the ${name} at ${at} is ${value}, which is not a multiple of a cluster`);
  };
  const diskBytes = Number(cluster.readBigUInt64BE(24));
  const l1Entries = cluster.readUInt32BE(36);
  if (l1Entries * 8 > L1_BYTES_MAX || l1EntriesOf(diskBytes, geometry) * 8 > L1_BYTES_MAX || diskBytes >= 2 ** 53) {
    const limit = `at most ${L1_BYTES_MAX / 8} L1 entries are allowed`;
    throw tooLarge(path, `a disk of ${diskBytes} bytes with ${l1Entries} L1 entries; ${limit}`);
  }
  if (l1Entries < l1EntriesOf(diskBytes, geometry)) {
    throw corrupt(path, `the L1 table has ${l1Entries} entries (at 36), too few for a disk of ${diskBytes} bytes`);
  }
  const refcountClusters = cluster.readUInt32BE(56);
  if (refcountClusters * geometry.clusterBytes > REFCOUNT_TABLE_BYTES_MAX) {
    throw tooLarge(path, `a refcount table of ${refcountClusters} clusters; 8 MiB are allowed`);
  }
  if (refcountClusters === 0) throw corrupt(path, 'the refcount table has no clusters (at 56)');
  const snapshots = cluster.readUInt32BE(60);
  return {
    diskBytes,
    l1: { offset: offset(40, 'L1 table'), entries: l1Entries },
    refcountTable: { offset: offset(48, 'refcount table'), entries: refcountClusters * geometry.tableEntries },
    // load-image.ts checks this offset: a wrong one concerns only the snapshots.
    snapshotTable: { offset: snapshots === 0 ? 0 : Number(cluster.readBigUInt64BE(64)), entries: snapshots },
  };
}

function decodeBackingName(cluster: Buffer, geometry: Geometry, path: string): string | null {
  const offset = Number(cluster.readBigUInt64BE(8));
  const bytes = cluster.readUInt32BE(16);
  if (offset === 0) return null;
  if (bytes > BACKING_NAME_BYTES_MAX) {
    throw corrupt(path, `the backing file name is ${bytes} bytes long (at 16); ${BACKING_NAME_BYTES_MAX} are allowed`);
  }
  if (offset + bytes > geometry.clusterBytes) {
    throw corrupt(path, `the backing file name at ${offset} reaches beyond the first cluster`);
  }
  if (offset + bytes > cluster.length) throw truncated(path, offset + bytes, cluster.length);
  return bytes === 0 ? null : cluster.toString('utf8', offset, offset + bytes);
}

function refuseUnsupported(cluster: Buffer, header: Header, of: { headerBytes: number; path: string }): void {
  const unsupported = (what: string) => new BlockError('image_unsupported', `${of.path}: ${what}.`);
  const encryption = cluster.readUInt32BE(32);
  if (encryption !== 0) {
    const name = ['none', 'AES', 'LUKS'][encryption] ?? `unknown method ${encryption}`;
    throw unsupported(`the image is encrypted (${name}), which is not supported`);
  }
  const features = header.incompatible;
  if ((features & INCOMPATIBLE.externalData) !== 0n) throw unsupported('an external data file is not supported');
  if ((features & INCOMPATIBLE.extendedL2) !== 0n) throw unsupported('extended L2 entries are not supported');
  for (let bit = 0; bit < 64; bit += 1) {
    if (((features & ~INCOMPATIBLE_KNOWN) >> BigInt(bit)) % 2n === 0n) continue;
    const name = header.extensions.featureNames.get(`0:${bit}`);
    throw unsupported(
      `incompatible feature ${name === undefined ? `bit ${bit}` : `"${name}" (bit ${bit})`} is not known`,
    );
  }
  const type = of.headerBytes > 104 ? cluster[104]! : 0;
  if (type > 1) throw unsupported(`compression type ${type} (at 104) is not known`);
  if ((type === 1) !== ((features & INCOMPATIBLE.compressionType) !== 0n)) {
    throw corrupt(of.path, `compression type ${type} at 104 does not agree with incompatible feature bit 3`);
  }
}

function corrupt(path: string, fault: string): BlockError {
  return new BlockError('image_corrupt', `${path}: header: ${fault}.`);
}

function tooLarge(path: string, what: string): BlockError {
  return new BlockError('image_too_large', `${path}: header: ${what}.`);
}

function truncated(path: string, needed: number, bytes: number): BlockError {
  return new BlockError('image_truncated', `${path}: the header needs ${needed} bytes, the file has ${bytes}.`);
}
