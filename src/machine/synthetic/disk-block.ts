import { crc32 } from 'node:zlib';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import { GuestFault } from './page-diagnosis.ts';

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

/** Identity of a written block. */
export type DiskBlockIdentity = {
  /** Position on the disk, in blocks; block 0 is the superblock. */
  readonly block: number;
  /** Number of the write, counted over all blocks of the disk; never 0. */
  readonly sequence: number;
  /** Identity of the disk; never 0. */
  readonly identity: bigint;
};

/** Fields of the superblock. */
export type DiskStart = {
  readonly boots: number;
  /** True while the data of an earlier guest is being erased. */
  readonly isFormatting: boolean;
  /** Sequence of the newest data block that was flushed before the superblock was written; 0: none. */
  readonly highest: number;
};

/** Content of a block. `torn`: the checksum does not match; `strange`: not written by a guest. */
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

/** Classifies a block of DISK_BLOCK_BYTES with any content. */
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

/** Identity of a newly formatted disk. @param previous identity of the guest's previous disk, 0 for none. */
export function newDiskIdentity(seed: number, previous: bigint): bigint {
  const low = scramble(seed ^ scramble(Number(previous & 0xffff_ffffn) + 0x9e37_79b9));
  const high = scramble(low ^ scramble(Number(previous >> 32n) + 0x85eb_ca6b));
  return (BigInt(high) << 32n) | BigInt((low | 1) >>> 0);
}

/** A hash of `value`: an integer from 0 to 2^32 - 1. */
export function scramble(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb_352d);
  x = Math.imul(x ^ (x >>> 15), 0x846c_a68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Start value of the generator; never 0, because the generator would stay at 0. */
function noiseKey({ block, sequence, identity }: DiskBlockIdentity): number {
  const disk = scramble(Number(identity & 0xffff_ffffn) ^ scramble(Number(identity >> 32n)));
  return scramble(scramble(disk ^ block) ^ scramble(sequence) ^ Math.floor(sequence / 2 ** 32)) | 1;
}

function checksum(bytes: Uint8Array): number {
  const head = crc32(bytes.subarray(0, CRC_OFFSET));
  return crc32(bytes.subarray(BODY_OFFSET, DISK_BLOCK_BYTES), head);
}

/** Expected content of a block of the guest's disk. */
export type ExpectedBlock = {
  readonly block: number;
  /** 0: never written; null: any write of this block. */
  readonly sequence: number | null;
  readonly identity: bigint;
  /** Expected boots of the superblock; null for other blocks. */
  readonly boots: number | null;
};

/**
 * Compares a block with its expected content. Throws a GuestFault if they differ:
 *
 * - disk-lost: a written block contains zeros;
 * - disk-stale: an older write of this block: an old disk under newer RAM;
 * - disk-ahead: a newer write of this block: a newer disk under old RAM;
 * - disk-misplaced: a valid write of another block;
 * - disk-foreign: a valid block of another disk;
 * - disk-torn: header and body of different writes;
 * - disk-corrupt: anything else.
 */
export function checkDiskBlock(content: DiskBlockContent, expected: ExpectedBlock): void {
  const { block, sequence, identity, boots } = expected;
  const fault = (kind: string, found: string): GuestFault => {
    const wanted = sequence === 0 ? 'that it was never written' : `write ${sequence}`;
    return diskFault(
      kind,
      `${blockName(block)} ${found}${sequence === null ? '' : `; the ledger in RAM says ${wanted}`}`,
    );
  };
  if (content.kind === 'zero') {
    if (sequence === 0) return;
    throw fault('disk-lost', 'holds zeros');
  }
  if (content.kind === 'torn') throw fault('disk-torn', 'has a checksum that does not fit');
  if (content.kind === 'strange') throw fault('disk-corrupt', 'holds nothing that a guest writes');
  const found = `holds write ${content.sequence}`;
  if (content.identity !== identity) {
    throw fault('disk-foreign', `${found} of disk ${hex(content.identity)}, not of disk ${hex(identity)}`);
  }
  if (content.block !== block) throw fault('disk-misplaced', `${found} of block ${content.block}`);
  if (sequence === null) return;
  if (content.sequence < sequence) throw fault('disk-stale', found);
  if (content.sequence > sequence) throw fault('disk-ahead', found);
  if (boots === null || content.boots === boots) return;
  const isOld = content.boots < boots;
  throw diskFault(
    isOld ? 'disk-stale' : 'disk-ahead',
    `the disk was booted ${content.boots} times, not ${boots} times`,
  );
}

export function diskFault(kind: string, detail: string): GuestFault {
  return new GuestFault({ kind, address: null, detail });
}

export function blockName(block: number): string {
  const name = block === 0 ? 'the superblock' : `block ${block}`;
  return `${name} of the guest disk (offset ${block * DISK_BLOCK_BYTES})`;
}

export function hex(identity: bigint): string {
  return identity.toString(16).padStart(16, '0');
}
