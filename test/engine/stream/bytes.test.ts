import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter, IncompleteError, StreamError } from '../../../src/engine/stream/bytes.ts';

describe('big-endian values', () => {
  it('are read as they were written', () => {
    const values = fc.record({
      u8: fc.integer({ min: 0, max: 0xff }),
      u16: fc.integer({ min: 0, max: 0xffff }),
      u32: fc.integer({ min: 0, max: 0xffff_ffff }),
      u64: fc.maxSafeNat(),
      text: fc.string({ unit: 'grapheme-composite', maxLength: 30 }),
      bytes: fc.uint8Array({ maxLength: 900 }),
    });
    fc.assert(
      fc.property(values, (value) => {
        const writer = new ByteWriter().u8(value.u8).u16(value.u16).u32(value.u32).u64(value.u64);
        const reader = new ByteReader(writer.str8(value.text).bytes(value.bytes).finish());
        const back = { u8: reader.u8(), u16: reader.u16(), u32: reader.u32(), u64: reader.u64('it') };
        const text = reader.str8();
        expect({ ...back, text, bytes: reader.bytes(value.bytes.length) }).toEqual(value);
        expect(reader.left).toBe(0);
      }),
      { seed: 1 },
    );
  });

  it('are written most significant byte first', () => {
    const bytes = new ByteWriter().u16(0x0102).u32(0x03040506).u64(0x0708).str8('ab').finish();

    expect(Buffer.from(bytes).toString('hex')).toBe('0102030405060000000000000708026162');
  });

  it('are incomplete if bytes are missing, and the position is unchanged', () => {
    const reader = new ByteReader(Uint8Array.of(1, 2, 3));

    expect(() => reader.u32()).toThrow(IncompleteError);
    expect(() => reader.u64('it')).toThrow(IncompleteError);
    expect(() => reader.bytes(4)).toThrow(IncompleteError);
    expect(reader.position).toBe(0);
    expect(reader.u16()).toBe(0x0102);
  });

  it('above 2^53 are refused by name, in both directions', () => {
    const bytes = Buffer.from('0020000000000000', 'hex');

    expect(() => new ByteReader(bytes).u64('the length')).toThrow(/the length is 9007199254740992/);
    expect(() => new ByteReader(bytes).u64('the length')).toThrow(StreamError);
    for (const value of [2 ** 53, -1, 0.5, Number.NaN]) expect(() => new ByteWriter().u64(value)).toThrow(RangeError);
    expect(() => new ByteWriter().str8('x'.repeat(256))).toThrow(/longer than 255/);
  });
});

describe('an error of the stream', () => {
  it('has the first place that it is given', () => {
    const error = new StreamError('footer_wrong', 'it is wrong').at(17);

    expect(error.message).toBe('it is wrong (at byte 17 of the stream)');
    expect(error.at(99)).toBe(error);
    expect([error.code, error.position]).toEqual(['footer_wrong', 17]);
  });
});
