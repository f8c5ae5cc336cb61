import type { Geometry } from './geometry.ts';

/*
 * Refcount blocks: 2^order bits per count; from 8 bits on big-endian, below that the first count in the low bits.
 * Counts beyond 2^32 - 1 decode as 2^32 - 1: they are wrong in any case.
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
