import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DISK_BLOCK_BYTES,
  newDiskIdentity,
  readDiskBlock,
  writeDiskBlock,
} from '../../../src/machine/synthetic/disk-block.ts';

const ID = { block: 7, sequence: 41, identity: 0xfedc_ba98_7654_3210n };

function blockOf(id: typeof ID, start: Parameters<typeof writeDiskBlock>[2] = null): Uint8Array {
  const bytes = new Uint8Array(DISK_BLOCK_BYTES).fill(0xee);
  writeDiskBlock(bytes, id, start);
  return bytes;
}

describe('a block of the guest disk', () => {
  it('is read as it was written', () => {
    const numbers = {
      block: fc.nat(511),
      sequence: fc.maxSafeNat(),
      identity: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    };
    const starts = { boots: fc.nat(), isFormatting: fc.boolean(), highest: fc.maxSafeNat() };
    fc.assert(
      fc.property(fc.record(numbers), fc.record(starts), (id, start) => {
        expect(readDiskBlock(blockOf(id, start))).toEqual({ kind: 'whole', ...id, ...start });
        expect(readDiskBlock(blockOf(id))).toMatchObject({ kind: 'whole', ...id, highest: 0 });
      }),
      { numRuns: 50 },
    );
  });

  it('is detected as damaged with any flipped bit', () => {
    const bytes = blockOf(ID);
    for (let bit = 0; bit < DISK_BLOCK_BYTES * 8; bit += 13) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(readDiskBlock(bytes).kind).toBe(bit < 64 ? 'strange' : 'torn');
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    expect(readDiskBlock(bytes).kind).toBe('whole');
  });

  it('changes nearly every byte with each write, block and disk', () => {
    const bytes = blockOf(ID);
    for (const other of [
      { ...ID, sequence: 42 },
      { ...ID, block: 8 },
      { ...ID, identity: ID.identity + 1n },
    ]) {
      const changed = blockOf(other).filter((byte, at) => byte !== bytes[at]).length;
      expect(changed).toBeGreaterThan(DISK_BLOCK_BYTES * 0.95);
    }
  });

  it('is not recognised in any other content', () => {
    expect(readDiskBlock(new Uint8Array(DISK_BLOCK_BYTES)).kind).toBe('zero');
    expect(readDiskBlock(new Uint8Array(DISK_BLOCK_BYTES).fill(1, DISK_BLOCK_BYTES - 1)).kind).toBe('strange');
  });

  it('belongs to a disk with a new identity after each format', () => {
    const identities = new Set<bigint>();
    for (let seed = 0; seed < 10; seed += 1) {
      let identity = 0n;
      for (let disk = 0; disk < 50; disk += 1) {
        identity = newDiskIdentity(seed, identity);
        expect(identity > 0n && identity < 2n ** 64n).toBe(true);
        identities.add(identity);
      }
    }
    expect(identities.size).toBe(500);
  });
});
