// Damaged streams and random bytes: each ends with an error with a code or with a machine, and with nothing else.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { imagePlan, RAM_BYTES_MAX, type Read, read, SmallMachine, smallStream } from '../../engine/stream/reading.ts';
import { magic, ramStart } from '../../engine/stream/stream-builder.ts';
import { readStreamFixture } from '../qemu/fixtures.ts';

const SEED = 0xfe117;
const PAGE_RECORD_BYTES = 8 + 4096;
const small = new SmallMachine();

/** The reader throws on what is no StreamError; here the rest of the promise is held against it. */
function expectOutcome({ error, loaded, stream }: Read): void {
  if (error !== null) expect(error.code).toMatch(/^[a-z][a-z0-9_]+$/);
  else expect(loaded).not.toBeNull();
  expect(stream.ramBytes).toBeLessThanOrEqual(RAM_BYTES_MAX);
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

export type MutationEffort = {
  /** Of the bits of headers and devices each so many is flipped; a number without a factor 2 comes to every bit of a byte. */
  readonly bitStep: number;
  readonly deviceBits: number;
  readonly edits: number;
  readonly garbage: number;
};

export function describeMutation({ bitStep, deviceBits, edits, garbage }: MutationEffort): void {
  describeFlips(bitStep, deviceBits);
  describeEdits(edits);
  describeGarbage(garbage);
}

function describeFlips(bitStep: number, deviceBits: number): void {
  describe('a damaged stream', () => {
    it('with one flipped bit loads or fails with a code, for a known machine', () => {
      const bytes = smallStream();
      const codes = new Set<string>();
      for (let bit = 0; bit < bytes.length * 8; bit += bit < 1200 || bit > (bytes.length - 1000) * 8 ? bitStep : 131) {
        const result = read(flipped(bytes, bit), small.plan());
        expectOutcome(result);
        codes.add(result.error?.code ?? 'loaded');
      }

      expect(codes.size).toBeGreaterThan(10);
      expect(codes).toContain('footer_wrong');
      expect(codes).toContain('loaded');
    });

    it('of QEMU with one flipped bit in its header fails with a code or loads', () => {
      const { stream } = readStreamFixture('pc-10.0-uuid');
      const ramEnds = stream.indexOf('pc.ram') + 300;
      for (let bit = 0; bit < ramEnds * 8; bit += bitStep)
        expectOutcome(read(flipped(stream.subarray(0, 40_000), bit), imagePlan()));
    });

    it('of QEMU with a flipped bit in its device sections keeps every other byte', () => {
      const { stream } = readStreamFixture('isapc-10.0');
      const whole = read(stream, imagePlan()).loaded;
      if (whole?.state.form !== 'image') throw new Error('no image was loaded');
      const names = whole.state.image.sections.map(({ idstr }) => idstr);
      const devices = stream.indexOf(Buffer.from('08000b0000', 'hex'));
      const reach = { min: (devices + PAGE_RECORD_BYTES) * 8, max: stream.length * 8 - 1 };
      const seen = { loaded: 0, failed: 0 };
      fc.assert(
        fc.property(fc.integer(reach), (bit) => {
          const result = read(flipped(stream, bit), imagePlan());
          expectOutcome(result);
          if (result.loaded?.state.form !== 'image') {
            seen.failed += 1;
            return;
          }
          seen.loaded += 1;
          const { sections } = result.loaded.state.image;
          expect(sections.length).toBe(names.length);
        }),
        { seed: SEED, numRuns: deviceBits },
      );

      expect(seen.loaded).toBeGreaterThan(0);
      expect(seen.failed).toBeGreaterThan(0);
    });
  });
}

function describeEdits(edits: number): void {
  describe('a stream with foreign parts', () => {
    it('with parts overwritten, removed and repeated loads or fails with a code', () => {
      const streams = [smallStream(), readStreamFixture('isapc-10.0').stream];
      const edit = fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        bytes: fc.uint8Array({ minLength: 0, maxLength: 40 }),
        drop: fc.integer({ min: 0, max: 40 }),
      });
      fc.assert(
        fc.property(
          fc.constantFrom(...streams),
          fc.array(edit, { minLength: 1, maxLength: 4 }),
          (original, changes) => {
            let bytes = Buffer.from(original);
            for (const { at, bytes: put, drop } of changes) {
              const from = Math.floor(at * bytes.length);
              bytes = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + drop)]);
            }
            expectOutcome(read(bytes, imagePlan()));
            expectOutcome(read(bytes, small.plan()));
          },
        ),
        { seed: SEED, numRuns: edits },
      );
    });
  });
}

function describeGarbage(garbage: number): void {
  describe('random bytes', () => {
    it('fail with a code, even after a valid beginning', () => {
      const beginnings = fc.constantFrom(
        Buffer.alloc(0),
        magic(),
        smallStream().subarray(0, 30),
        Buffer.concat([smallStream().subarray(0, 22), ramStart(2, [{ name: 'small.ram', bytes: 32768 }])]),
        smallStream().subarray(0, -400),
      );
      fc.assert(
        fc.property(beginnings, fc.uint8Array({ maxLength: 2000 }), (beginning, rest) => {
          const bytes = Buffer.concat([beginning, rest]);
          expectOutcome(read(bytes, imagePlan()));
          expectOutcome(read(bytes, small.plan()));
        }),
        { seed: SEED, numRuns: garbage },
      );
    });

    it('never use more memory than the limits allow', () => {
      const endless = Buffer.concat([smallStream({ port: Buffer.alloc(90 * 2 ** 20) })]);
      const before = process.memoryUsage().arrayBuffers;

      expect(read(endless, imagePlan()).error?.code).toBe('device_bytes_too_many');
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(400 * 2 ** 20);
    });
  });
}
