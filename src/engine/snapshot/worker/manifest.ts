import { createHash } from 'node:crypto';
import { ByteReader, IncompleteError, StreamError } from '../../stream/byte-reader.ts';
import { ByteWriter } from '../../stream/byte-writer.ts';
import { RAM_BLOCKS_MAX } from '../../stream/constants.ts';
import { BrokenManifestError } from './broken-manifest.ts';
import { type DiskDigests, decodeDiskDigests, encodeDiskDigests } from './disk-digests.ts';
import { NO_BLOCK, PieceTable } from './piece-table.ts';

/*
 * Digests of a snapshot, kept in the VM state area behind the stream. Big-endian:
 *
 *   8 bytes magic "FERRYDIG", u32 version 1, u32 0, u64 body bytes, 32 bytes SHA-256 of the body, 8 bytes 0
 *   body: u64 stream bytes, u32 RAM blocks (each str8 name, u64 bytes), u32 bytes of the pieces, pieces
 *         (piece-table.ts), the disk's digests (disk-digests.ts)
 * Where it lies is said by the snapshot's entry in the image's table (manifest-place.ts).
 */

export type ManifestBlock = { readonly name: string; readonly bytes: number };

export type Manifest = {
  /** 0 if the node holds no VM state; then there are no pieces. */
  readonly streamBytes: number;
  readonly blocks: readonly ManifestBlock[];
  readonly pieces: PieceTable;
  readonly disk: DiskDigests;
};

export const MANIFEST_HEADER_BYTES = 64;
/** A manifest that claims to be larger is not read. */
export const MANIFEST_BYTES_MAX = 512 * 2 ** 20;

const VERSION = 1;
const MAGIC = Buffer.from('FERRYDIG');
/** What stands where a manifest will be; the snapshot was not finished if it is still there. */
const PLACEHOLDER = Buffer.from('UNFINISHED DIGESTS OF VMFERRY   ');

/** `bytes` of what is written where a manifest will be: nothing that could be taken for one, and not zero. */
export function placeholder(bytes: number): Uint8Array {
  return Buffer.alloc(bytes, PLACEHOLDER);
}

/** Bytes of a manifest but for its disk part. */
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

/** Bytes of the whole manifest that begins with this header. @throws BrokenManifestError */
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

/** @throws BrokenManifestError if these bytes are not a manifest, whole and unchanged. */
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
