import { BrokenManifestError } from './broken-manifest.ts';

/** Longest piece, and the boundary of the stream that no piece crosses. */
export const PIECE_BYTES_MAX = 65536;
/** Block index of a piece that holds no RAM. */
export const NO_BLOCK = 0xffff;
const ENTRY_BYTES = 16;
const FIRST_ENTRIES = 1024;

/** A stretch of the VM state stream and its CRC-32. */
export type Piece = {
  /** In the stream. */
  readonly position: number;
  readonly bytes: number;
  readonly crc: number;
  /** Index of the RAM block whose records it holds, or NO_BLOCK. */
  readonly block: number;
  /** Offset, in the block, of the page whose record is in progress where the piece begins, or is the first in it. */
  readonly offset: number;
};

/**
 * The pieces of a stream, in order and without a gap. A piece ends at every multiple of 64 KiB of the stream, and
 * where another RAM block or the device state begins, so that each belongs to one of them. In wire form, 16 bytes each:
 *
 *   u32 bytes, u32 CRC-32, u16 block or ffff, u48 offset in the block
 */
export class PieceTable {
  #bytes: Buffer;
  #count: number;
  /** Bytes of the stream that the pieces cover. */
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

  /** Every piece from the first on. */
  *[Symbol.iterator](): Generator<Piece> {
    for (let index = 0, position = 0; index < this.#count; index += 1) {
      const piece = this.#at(index, position);
      yield piece;
      position += piece.bytes;
    }
  }

  /** The wire form. */
  encode(): Buffer {
    return this.#bytes.subarray(0, this.#count * ENTRY_BYTES);
  }

  /** Bytes of the wire form. */
  get encodedBytes(): number {
    return this.#count * ENTRY_BYTES;
  }

  /**
   * Reads the wire form of pieces that cover `streamBytes`; RAM blocks have the lengths of `blockBytes`.
   * @throws BrokenManifestError if they do not.
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
