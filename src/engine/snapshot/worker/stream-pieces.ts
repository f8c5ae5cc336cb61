import { crc32 } from 'node:zlib';

/** Longest piece. No piece crosses a multiple of this in the stream. */
export const PIECE_BYTES_MAX = 65536;
/** Block index of a piece that holds no RAM. */
export const NO_BLOCK = 0xffff;
const ENTRY_BYTES = 16;
const FIRST_ENTRIES = 1024;

/** A part of the VM state stream and its CRC-32. */
export type Piece = {
  /** Offset in the stream. */
  readonly position: number;
  readonly bytes: number;
  readonly crc: number;
  /** Index of the RAM block whose records it holds, or NO_BLOCK. */
  readonly block: number;
  /** Offset in the block of the page whose record contains the first byte of the piece, or of the first page in it. */
  readonly offset: number;
};

/**
 * The pieces of a stream, in order and without gaps. A piece ends at every multiple of 64 KiB of the stream, and where
 * another RAM block or the device state begins, so that each piece belongs to one of them. Encoded in 16 bytes each:
 *
 *   u32 bytes, u32 CRC-32, u16 block or ffff, u48 offset in the block
 */
export class PieceTable {
  #bytes: Buffer;
  #count: number;
  /** Bytes of the stream in all pieces. */
  streamBytes = 0;

  constructor() {
    this.#bytes = Buffer.alloc(FIRST_ENTRIES * ENTRY_BYTES);
    this.#count = 0;
  }

  get count(): number {
    return this.#count;
  }

  push(piece: Omit<Piece, 'position'>): void {
    if ((this.#count + 1) * ENTRY_BYTES > this.#bytes.length) {
      const grown = Buffer.alloc(this.#bytes.length * 2);
      this.#bytes.copy(grown);
      this.#bytes = grown;
    }
    const at = this.#count * ENTRY_BYTES;
    this.#bytes.writeUInt32BE(piece.bytes, at);
    this.#bytes.writeUInt32BE(piece.crc, at + 4);
    this.#bytes.writeUInt16BE(piece.block, at + 8);
    this.#bytes.writeUIntBE(piece.offset, at + 10, 6);
    this.#count += 1;
    this.streamBytes += piece.bytes;
  }

  /** All pieces in order. */
  *[Symbol.iterator](): Generator<Piece> {
    for (let index = 0, position = 0; index < this.#count; index += 1) {
      const piece = this.#at(index, position);
      yield piece;
      position += piece.bytes;
    }
  }

  /** The encoded table. */
  encode(): Buffer {
    return this.#bytes.subarray(0, this.#count * ENTRY_BYTES);
  }

  /** Length of the encoded table. */
  get encodedBytes(): number {
    return this.#count * ENTRY_BYTES;
  }

  /**
   * Decodes pieces for a stream of `streamBytes` and RAM blocks with the lengths `blockBytes`.
   * @throws BrokenManifestError if the pieces do not match them.
   */
  static decode(bytes: Buffer, streamBytes: number, blockBytes: readonly number[]): PieceTable {
    const table = new PieceTable();
    table.#bytes = bytes;
    table.#count = Math.floor(bytes.length / ENTRY_BYTES);
    if (table.encodedBytes !== bytes.length) throw new BrokenManifestError('its list of pieces ends within one');
    for (let index = 0, position = 0; index < table.#count; index += 1) {
      const piece = table.#at(index, position);
      checkPiece(piece, blockBytes);
      position += piece.bytes;
      table.streamBytes = position;
    }
    if (table.streamBytes !== streamBytes) {
      throw new BrokenManifestError(`its pieces cover ${table.streamBytes} of ${streamBytes} bytes`);
    }
    return table;
  }

  #at(index: number, position: number): Piece {
    const at = index * ENTRY_BYTES;
    return {
      position,
      bytes: this.#bytes.readUInt32BE(at),
      crc: this.#bytes.readUInt32BE(at + 4),
      block: this.#bytes.readUInt16BE(at + 8),
      offset: this.#bytes.readUIntBE(at + 10, 6),
    };
  }
}

function checkPiece({ position, bytes, block, offset }: Piece, blockBytes: readonly number[]): void {
  const where = `its piece at byte ${position} of the stream`;
  if (bytes === 0 || bytes > PIECE_BYTES_MAX - (position % PIECE_BYTES_MAX)) {
    throw new BrokenManifestError(`${where} has ${bytes} bytes`);
  }
  if (block === NO_BLOCK) return;
  const length = blockBytes[block];
  if (length === undefined) throw new BrokenManifestError(`${where} names RAM block ${block}, which is not listed`);
  if (offset >= length) throw new BrokenManifestError(`${where} lies at ${offset} of a RAM block of ${length} bytes`);
}

/** Divides a stream into pieces while it is written, when its bytes are still in the processor's cache. */
export class StreamDigester {
  readonly pieces = new PieceTable();
  #bytes = 0;
  #crc = 0;
  #block = NO_BLOCK;
  #offset = 0;
  /** Offset of the first page of the newest records. */
  #newest = 0;

  /** Bytes of the stream so far. */
  get position(): number {
    return this.pieces.streamBytes + this.#bytes;
  }

  /** Bytes to the next boundary of pieces. */
  get roomBytes(): number {
    return PIECE_BYTES_MAX - (this.position % PIECE_BYTES_MAX);
  }

  /** Records of a RAM block follow, the first of them for the page at `offset`. */
  enterBlock(block: number, offset: number): void {
    if (this.#block !== block) this.#cut();
    this.#block = block;
    this.#newest = offset;
    if (this.#bytes === 0) this.#offset = offset;
  }

  /** The next bytes are device state. */
  leaveRam(): void {
    this.#cut();
    this.#block = NO_BLOCK;
    this.#newest = 0;
    this.#offset = 0;
  }

  /** The next bytes. */
  add(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const count = Math.min(bytes.length - from, this.roomBytes);
      if (this.#bytes === 0) this.#offset = this.#newest;
      this.#crc = crc32(bytes.subarray(from, from + count), this.#crc);
      this.#bytes += count;
      from += count;
      if (this.position % PIECE_BYTES_MAX === 0) this.#cut();
    }
  }

  /** Ends the last piece. @returns all pieces. */
  finish(): PieceTable {
    this.#cut();
    return this.pieces;
  }

  #cut(): void {
    if (this.#bytes === 0) return;
    this.pieces.push({ bytes: this.#bytes, crc: this.#crc, block: this.#block, offset: this.#offset });
    this.#bytes = 0;
    this.#crc = 0;
  }
}

/** A manifest that is damaged, incomplete or missing. The message is a clause about the manifest. */
export class BrokenManifestError extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'BrokenManifestError';
  }
}
