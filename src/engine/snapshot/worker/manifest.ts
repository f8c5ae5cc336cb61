import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import type { Image, SnapshotReader } from '../../../block/image.ts';
import { ByteReader, ByteWriter, IncompleteError, StreamError } from '../../stream/bytes.ts';
import { RAM_BLOCKS_MAX } from '../../stream/constants.ts';
import { SnapshotFailure, type TaskControl } from '../task-control.ts';
import {
  allocatedGranules,
  DISK_GRANULE_BYTES,
  DISK_GRANULE_BYTES_MAX,
  type DiskDigests,
  decodeDiskDigests,
  diskDigestBytes,
  doubled,
  encodeDiskDigests,
  granuleBytesOf,
  readGranules,
} from './disk-digests.ts';
import type { ManifestPlace } from './snapshot-extra.ts';
import { BrokenManifestError, NO_BLOCK, PieceTable } from './stream-pieces.ts';

/*
 * Digests of a snapshot, stored in the VM state area behind the stream. Big-endian:
 *
 *   8 bytes magic "FERRYDIG", u32 version 1, u32 0, u64 body bytes, 32 bytes SHA-256 of the body, 8 bytes 0
 *   body: u64 stream bytes, u32 RAM blocks (each str8 name, u64 bytes), u32 bytes of the pieces, pieces
 *         (stream-pieces.ts), the disk's digests (disk-digests.ts)
 * The snapshot's entry in the snapshot table has its place (snapshot-extra.ts).
 */

export type ManifestBlock = { readonly name: string; readonly bytes: number };

export type Manifest = {
  /** 0 if the node has no VM state; there are no pieces then. */
  readonly streamBytes: number;
  readonly blocks: readonly ManifestBlock[];
  readonly pieces: PieceTable;
  readonly disk: DiskDigests;
};

export const MANIFEST_HEADER_BYTES = 64;
/** A longer manifest is not read. */
export const MANIFEST_BYTES_MAX = 512 * 2 ** 20;

const VERSION = 1;
const MAGIC = Buffer.from('FERRYDIG');
/** Content of the place of a manifest before it is written. A snapshot that still contains it is incomplete. */
const PLACEHOLDER = Buffer.from('UNFINISHED DIGESTS OF VMFERRY   ');

/** A placeholder of `bytes` bytes: not zero, and not a valid manifest. */
export function placeholder(bytes: number): Uint8Array {
  return Buffer.alloc(bytes, PLACEHOLDER);
}

/** Bytes of a manifest without its disk part. */
export function fixedBytes(blocks: readonly ManifestBlock[], pieces: PieceTable): number {
  return MANIFEST_HEADER_BYTES + encodeBlocks(blocks, pieces).length + pieces.encodedBytes;
}

export function encodeManifest(manifest: Manifest): Buffer {
  const { blocks, pieces, disk } = manifest;
  const body = Buffer.concat([encodeBlocks(blocks, pieces), pieces.encode(), encodeDiskDigests(disk)]);
  const hash = createHash('sha256').update(body).digest();
  const header = new ByteWriter().bytes(MAGIC).u32(VERSION).u32(0).u64(body.length).bytes(hash).u64(0).finish();
  return Buffer.concat([header, body]);
}

/** Length of the manifest with this header. @throws BrokenManifestError */
export function manifestBytes(header: Uint8Array, reservedBytes: number): number {
  const bytes = Buffer.from(header.buffer, header.byteOffset, header.length);
  if (bytes.subarray(0, 8).equals(PLACEHOLDER.subarray(0, 8))) throw new BrokenManifestError('it was never finished');
  if (!bytes.subarray(0, 8).equals(MAGIC)) throw new BrokenManifestError('it does not begin as one');
  const version = bytes.readUInt32BE(8);
  if (version !== VERSION) throw new BrokenManifestError(`it has version ${version}; version ${VERSION} is read`);
  const body = bytes.readBigUInt64BE(16);
  const room = Math.min(reservedBytes, MANIFEST_BYTES_MAX) - MANIFEST_HEADER_BYTES;
  if (body > BigInt(Math.max(0, room))) throw new BrokenManifestError(`it claims ${body} bytes in ${room}`);
  return MANIFEST_HEADER_BYTES + Number(body);
}

/** @throws BrokenManifestError if the bytes are not a complete and unchanged manifest. */
export function decodeManifest(bytes: Buffer): Manifest {
  if (bytes.length < MANIFEST_HEADER_BYTES) throw new BrokenManifestError('it is cut off');
  if (manifestBytes(bytes.subarray(0, MANIFEST_HEADER_BYTES), bytes.length) !== bytes.length) {
    throw new BrokenManifestError('its length is not what its header says');
  }
  const body = bytes.subarray(MANIFEST_HEADER_BYTES);
  const hash = createHash('sha256').update(body).digest();
  if (!hash.equals(bytes.subarray(24, 56))) throw new BrokenManifestError('its SHA-256 is wrong');
  try {
    return decodeBody(body);
  } catch (error) {
    if (error instanceof IncompleteError) throw new BrokenManifestError('it is cut off');
    if (error instanceof StreamError) throw new BrokenManifestError(error.message);
    throw error;
  }
}

function decodeBody(body: Buffer): Manifest {
  const reader = new ByteReader(body);
  const streamBytes = reader.u64('the length of the stream');
  const count = reader.u32();
  if (count > RAM_BLOCKS_MAX) throw new BrokenManifestError(`it lists ${count} RAM blocks`);
  const blocks: ManifestBlock[] = [];
  for (let index = 0; index < count; index += 1) {
    blocks.push({ name: reader.str8(), bytes: reader.u64('the length of a RAM block') });
  }
  const pieceBytes = Buffer.from(reader.bytes(reader.u32()));
  const lengths = blocks.map(({ bytes }) => bytes);
  const pieces = PieceTable.decode(pieceBytes, streamBytes, lengths);
  return { streamBytes, blocks, pieces, disk: decodeDiskDigests(body.subarray(reader.position)) };
}

function encodeBlocks(blocks: readonly ManifestBlock[], pieces: PieceTable): Uint8Array {
  if (blocks.length >= NO_BLOCK) throw new RangeError(`${blocks.length} RAM blocks are too many`);
  const writer = new ByteWriter().u64(pieces.streamBytes).u32(blocks.length);
  for (const { name, bytes } of blocks) writer.str8(name).u64(bytes);
  return writer.u32(pieces.encodedBytes).finish();
}

/**
 * Most granules for which space is reserved: 64 GiB of disk at the smallest granule. Fuller disks use larger granules.
 */
const RESERVED_GRANULES_MAX = 2 ** 20;
/** A CRC for each granule, and heads of runs: one for three granules on average, otherwise granules become larger. */
const RESERVED_BYTES_PER_GRANULE = 8;
const RESERVED_BYTES_MIN = 4096;

/** A snapshot without its manifest. */
export type SavedNode = {
  readonly image: Image;
  readonly id: string;
  readonly blocks: readonly ManifestBlock[];
  readonly pieces: PieceTable;
  readonly place: ManifestPlace;
};

/** Bytes reserved for the digests of a disk: its allocated ranges are not known before the snapshot exists. */
export function diskReservation(diskBytes: number): number {
  const granules = Math.min(Math.ceil(diskBytes / DISK_GRANULE_BYTES), RESERVED_GRANULES_MAX);
  return RESERVED_BYTES_MIN + granules * RESERVED_BYTES_PER_GRANULE;
}

/** Computes the digests of a snapshot's disk, and writes the manifest to its reserved place. */
export async function writeManifest(node: SavedNode, control: TaskControl): Promise<void> {
  const { image, blocks, pieces, place } = node;
  const reader = await image.openSnapshot(node.id);
  const disk = await digestDisk(reader, place.reservedBytes - fixedBytes(blocks, pieces), control);
  const bytes = encodeManifest({ streamBytes: pieces.streamBytes, blocks, pieces, disk });
  assert.equal(decodeManifest(bytes).streamBytes, pieces.streamBytes);
  await control.breathe();
  await reader.rewriteVmState(place.position, bytes);
  await image.flush();
}

async function digestDisk(reader: SnapshotReader, roomBytes: number, control: TaskControl): Promise<DiskDigests> {
  const { diskBytes } = reader.snapshot;
  let granuleBytes = DISK_GRANULE_BYTES;
  let runs = await allocatedGranules(reader, granuleBytes);
  while (diskDigestBytes(runs) > roomBytes) {
    granuleBytes *= 2;
    runs = doubled(runs);
    if (granuleBytes > DISK_GRANULE_BYTES_MAX) {
      throw new SnapshotFailure('engine_failed', `the digests of a disk of ${diskBytes} bytes do not fit ${roomBytes}`);
    }
  }
  control.addTotal(granuleBytesOf(runs, granuleBytes, diskBytes));
  const filled = runs.map(({ first, count }) => ({ firstGranule: first, crcs: new Uint32Array(count) }));
  let run = 0;
  let index = 0;
  for await (const { crc } of readGranules(reader, { runs, granuleBytes, diskBytes }, control)) {
    if (crc instanceof Error) throw crc;
    const crcs = filled[run]?.crcs ?? new Uint32Array();
    crcs[index] = crc;
    index += 1;
    if (index === crcs.length) {
      run += 1;
      index = 0;
    }
  }
  return { diskBytes, granuleBytes, runs: filled };
}
