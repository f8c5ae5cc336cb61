import { crc32 } from 'node:zlib';
import { NO_BLOCK, PIECE_BYTES_MAX, PieceTable } from './piece-table.ts';

/** Cuts a stream into pieces as it is written, while its bytes are still in the processor's cache. */
export class StreamDigester {
  readonly pieces = new PieceTable();
  #bytes = 0;
  #crc = 0;
  #block = NO_BLOCK;
  #offset = 0;
  /** Offset of the page that the newest records begin with. */
  #newest = 0;

  /** Bytes of the stream so far. */
  get position(): number {
    return this.pieces.streamBytes + this.#bytes;
  }

  /** Bytes up to the next boundary that no piece crosses. */
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

  /** What follows is not of RAM. */
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

  /** The stream has ended. */
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
