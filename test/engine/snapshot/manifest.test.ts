import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeManifest,
  encodeManifest,
  fixedBytes,
  MANIFEST_HEADER_BYTES,
  type Manifest,
  manifestBytes,
  placeholder,
} from '../../../src/engine/snapshot/worker/manifest.ts';
import { decodePlace, encodePlace } from '../../../src/engine/snapshot/worker/snapshot-extra.ts';
import { BrokenManifestError, NO_BLOCK, PieceTable } from '../../../src/engine/snapshot/worker/stream-pieces.ts';

const BLOCKS = [
  { name: 'pc.ram', bytes: 2 ** 20 },
  { name: 'vga.vram', bytes: 2 ** 16 },
];

function sample(): Manifest {
  const pieces = new PieceTable();
  pieces.push({ bytes: 100, crc: 1, block: NO_BLOCK, offset: 0 });
  pieces.push({ bytes: 65436, crc: 0xffffffff, block: 0, offset: 0 });
  pieces.push({ bytes: 65536, crc: 3, block: 0, offset: 61440 });
  pieces.push({ bytes: 10, crc: 4, block: 1, offset: 4096 });
  pieces.push({ bytes: 1, crc: 5, block: NO_BLOCK, offset: 0 });
  const runs = [
    { firstGranule: 2, crcs: new Uint32Array([7, 8]) },
    { firstGranule: 9, crcs: new Uint32Array([0xfffffffe]) },
  ];
  const disk = { diskBytes: 10 * 65536 - 512, granuleBytes: 65536, runs };
  return { streamBytes: pieces.streamBytes, blocks: BLOCKS, pieces, disk };
}

/** The same bytes after `change`, under a hash that fits them again: what a hostile author would write. */
function forged(bytes: Buffer, change: (body: Buffer) => Buffer): Buffer {
  const body = change(Buffer.from(bytes.subarray(MANIFEST_HEADER_BYTES)));
  const header = Buffer.from(bytes.subarray(0, MANIFEST_HEADER_BYTES));
  header.writeBigUInt64BE(BigInt(body.length), 16);
  createHash('sha256').update(body).digest().copy(header, 24);
  return Buffer.concat([header, body]);
}

describe('the manifest', () => {
  test('is decoded as it was encoded', () => {
    const written = sample();
    const read = decodeManifest(encodeManifest(written));
    expect([...read.pieces]).toEqual([...written.pieces]);
    expect([...read.pieces].map(({ position }) => position)).toEqual([0, 100, 65536, 131072, 131082]);
    expect(read.blocks).toEqual(BLOCKS);
    expect(read.streamBytes).toBe(131083);
    expect(read.disk).toEqual(written.disk);
  });

  test('has the computed length, without its disk part', () => {
    const written = sample();
    const disk = 16 + 12 + 8 + 12 + 4;
    expect(encodeManifest(written).length).toBe(fixedBytes(written.blocks, written.pieces) + disk);
  });

  test('is refused when it is cut off at any byte', () => {
    const whole = encodeManifest(sample());
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodeManifest(whole.subarray(0, length)), `${length} bytes`).toThrow(BrokenManifestError);
    }
  });

  test('is refused if any bit differs, except the unused bits of its header', () => {
    const whole = encodeManifest(sample());
    const isUnused = (at: number) => (at >= 12 && at < 16) || (at >= 56 && at < MANIFEST_HEADER_BYTES);
    for (let at = 0; at < whole.length; at += 1) {
      if (isUnused(at)) continue;
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect(() => decodeManifest(changed), `byte ${at}`).toThrow(BrokenManifestError);
    }
  });

  test('a body that is cut off with a matching hash is refused', () => {
    const whole = encodeManifest(sample());
    const bodyBytes = whole.length - MANIFEST_HEADER_BYTES;
    for (let length = 0; length < bodyBytes; length += 1) {
      const bytes = forged(whole, (body) => body.subarray(0, length));
      expect(() => decodeManifest(bytes), `${length} bytes`).toThrow(BrokenManifestError);
    }
  });

  test('hostile bodies are refused with a reason, or decode to a valid manifest', () => {
    const whole = encodeManifest(sample());
    fc.assert(
      fc.property(fc.nat(whole.length - MANIFEST_HEADER_BYTES - 1), fc.nat(255), (at, byte) => {
        const bytes = forged(whole, (body) => {
          body[at] = byte;
          return body;
        });
        try {
          const read = decodeManifest(bytes);
          for (const piece of read.pieces) {
            if (piece.block !== NO_BLOCK) expect(piece.offset).toBeLessThan(read.blocks[piece.block]?.bytes ?? 0);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(BrokenManifestError);
        }
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  test.each([
    ['a piece that crosses a boundary', 48, 65537, 'its piece at byte 0 of the stream has 65537 bytes'],
    ['more RAM blocks than there may be', 8, 1025, 'it lists 1025 RAM blocks'],
  ])('%s is refused', (_what, at, value, message) => {
    const change = (body: Buffer) => {
      body.writeUInt32BE(value, at);
      return body;
    };
    expect(() => decodeManifest(forged(encodeManifest(sample()), change))).toThrow(message);
  });

  test('an incomplete manifest is reported as never finished', () => {
    const header = placeholder(MANIFEST_HEADER_BYTES);
    expect(header.every((byte) => byte !== 0)).toBe(true);
    expect(() => manifestBytes(header, 4096)).toThrow('never finished');
  });

  test('a length above the reserved one is refused', () => {
    const header = encodeManifest(sample()).subarray(0, MANIFEST_HEADER_BYTES);
    expect(() => manifestBytes(header, MANIFEST_HEADER_BYTES + 10)).toThrow('in 10');
  });
});

describe('the place of a manifest', () => {
  test('is decoded from the extra data', () => {
    const place = { position: 2 ** 40, reservedBytes: 123456 };
    expect(decodePlace(encodePlace(place))).toEqual(place);
  });

  test('is not found in the extra data of another program', () => {
    const own = Buffer.from(encodePlace({ position: 0, reservedBytes: 1 }));
    expect(decodePlace(new Uint8Array())).toBeNull();
    expect(decodePlace(own.subarray(0, 31))).toBeNull();
    expect(decodePlace(Buffer.concat([Buffer.from('x'), own]))).toBeNull();
    expect(decodePlace(Buffer.alloc(32))).toBeNull();
    expect(decodePlace(Buffer.alloc(32, 'another'))).toBeNull();
  });

  test.each([0, 7, 8, 11, 15, 16, 24])('is reported as damaged if byte %i is damaged', (at) => {
    const own = Buffer.from(encodePlace({ position: 2 ** 40, reservedBytes: 123456 }));
    own[at]! ^= 0xff;
    expect(decodePlace(own)).toBe('damaged');
  });
});
