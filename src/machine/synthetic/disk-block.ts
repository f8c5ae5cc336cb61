import { crc32 } from 'node:zlib';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';

/*
 * A block of the guest's disk, little-endian:
 *
 *   0  magic u64          24 identity of the disk u64       48 zeros
 *   8  its number u64     32 boots u32, is being formatted u32   (block 0 only, elsewhere zeros)
 *   16 sequence u64       40 highest sequence of a data block that was flushed u64   (block 0 only)
 *   60 CRC-32 of all other bytes
 *   64 noise that follows from identity, number and sequence, so that each write changes nearly every byte
 *
 * A block of zeros has never been written.
 */
export const DISK_BLOCK_BYTES = PAGE_BYTES;

const MAGIC = 0x6b73_6964_7972_7266n;
const CRC_OFFSET = 60;
const BODY_OFFSET = 64;

/** What identifies a block that was written. */
export type DiskBlockIdentity = {
  /** Where it lies on its disk, in blocks; block 0 is the superblock. */
  readonly block: number;
  /** Number of the write, one count for all blocks of a disk; never 0. */
  readonly sequence: number;
  /** Of the disk; never 0. */
  readonly identity: bigint;
};

/** What only the superblock says. */
export type DiskStart = {
  readonly boots: number;
  /** True while what an earlier guest wrote is being wiped. */
  readonly isFormatting: boolean;
  /** Sequence of the newest data block that was on the disk for good when the superblock was written; 0: none. */
  readonly highest: number;
};

/** What was found in a block: `torn` has a header and another body, `strange` is nothing that a guest writes. */
export type DiskBlockContent =
  | { readonly kind: 'zero' }
  | { readonly kind: 'torn' }
  | { readonly kind: 'strange' }
  | ({ readonly kind: 'whole' } & DiskBlockIdentity & DiskStart);

/** Writes a block into `bytes`, which has DISK_BLOCK_BYTES. `start`: for block 0. */
export function writeDiskBlock(bytes: Uint8Array, id: DiskBlockIdentity, start: DiskStart | null): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, DISK_BLOCK_BYTES);
  bytes.fill(0, 0, BODY_OFFSET);
  view.setBigUint64(0, MAGIC, true);
  view.setBigUint64(8, BigInt(id.block), true);
  view.setBigUint64(16, BigInt(id.sequence), true);
  view.setBigUint64(24, id.identity, true);
  if (start !== null) {
    view.setUint32(32, start.boots, true);
    view.setUint32(36, start.isFormatting ? 1 : 0, true);
    view.setBigUint64(40, BigInt(start.highest), true);
  }
  let state = noiseKey(id);
  for (let at = BODY_OFFSET; at < DISK_BLOCK_BYTES; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    view.setUint32(at, state >>> 0, true);
  }
  view.setUint32(CRC_OFFSET, checksum(bytes), true);
}

/** Looks at a block of DISK_BLOCK_BYTES that came from a disk: anything may be in it. */
export function readDiskBlock(bytes: Uint8Array): DiskBlockContent {
  const view = new DataView(bytes.buffer, bytes.byteOffset, DISK_BLOCK_BYTES);
  if (view.getBigUint64(0, true) !== MAGIC) return { kind: bytes.every((byte) => byte === 0) ? 'zero' : 'strange' };
  if (view.getUint32(CRC_OFFSET, true) !== checksum(bytes)) return { kind: 'torn' };
  return {
    kind: 'whole',
    block: Number(view.getBigUint64(8, true)),
    sequence: Number(view.getBigUint64(16, true)),
    identity: view.getBigUint64(24, true),
    boots: view.getUint32(32, true),
    isFormatting: view.getUint32(36, true) !== 0,
    highest: Number(view.getBigUint64(40, true)),
  };
}

/** Identity for a disk that a guest formats; `previous` is that of the disk it had before, 0 for none. */
export function newDiskIdentity(seed: number, previous: bigint): bigint {
  const low = scramble(seed ^ scramble(Number(previous & 0xffff_ffffn) + 0x9e37_79b9));
  const high = scramble(low ^ scramble(Number(previous >> 32n) + 0x85eb_ca6b));
  return (BigInt(high) << 32n) | BigInt((low | 1) >>> 0);
}

/** A number that looks drawn by chance and follows from `value`: whole, 0 to 2^32 - 1. */
export function scramble(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb_352d);
  x = Math.imul(x ^ (x >>> 15), 0x846c_a68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Never 0, which the generator would stay at. */
function noiseKey({ block, sequence, identity }: DiskBlockIdentity): number {
  const disk = scramble(Number(identity & 0xffff_ffffn) ^ scramble(Number(identity >> 32n)));
  return scramble(scramble(disk ^ block) ^ scramble(sequence) ^ Math.floor(sequence / 2 ** 32)) | 1;
}

function checksum(bytes: Uint8Array): number {
  const head = crc32(bytes.subarray(0, CRC_OFFSET));
  return crc32(bytes.subarray(BODY_OFFSET, DISK_BLOCK_BYTES), head);
}
