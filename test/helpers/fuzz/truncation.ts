// A stream that ends too early is never accepted, wherever it is cut.

import { describe, expect, it } from 'vitest';
import { InputBuffer } from '../../../src/engine/pages/input-buffer.ts';
import { StreamError } from '../../../src/engine/stream/bytes.ts';
import { TargetStream } from '../../../src/engine/stream/target-stream.ts';
import type { IncomingPlan } from '../../../src/engine/transfer-engine.ts';
import { imagePlan, read, SmallMachine, smallParts, smallStream } from '../../engine/stream/reading.ts';
import { readStreamFixture } from '../qemu/fixtures.ts';

const small = new SmallMachine();

/** Reads what a peer sent that closed after `length` bytes. */
function readCut(bytes: Buffer, length: number, plan: IncomingPlan): string {
  const { error, loaded } = read(bytes.subarray(0, length), plan);
  return error === null && loaded !== null ? 'loaded' : (error?.code ?? 'neither');
}

export type TruncationEffort = {
  /** A reader of its own gets every length that is near a boundary of parts, and each so many of the others. */
  readonly step: number;
  /** One reader gets byte after byte, but so many at once while it is at pages of RAM. */
  readonly insideRam: number;
  /** Recorded streams of QEMU. */
  readonly recorded: readonly string[];
};

export function describeTruncation({ step, insideRam, recorded }: TruncationEffort): void {
  describe('a stream that is cut', () => {
    it('fails at every length for a machine with known devices', () => {
      const bytes = smallStream();
      const outcomes = new Set<string>();
      for (const length of cutLengths(step)) outcomes.add(readCut(bytes, length, small.plan()));

      expect([...outcomes]).toEqual(['stream_truncated']);
      expect(readCut(bytes, bytes.length, small.plan())).toBe('loaded');
    });

    it('fails at every length for an image, except after the end mark, where only the description is missing', () => {
      const bytes = smallStream();
      const endMark = bytes.length - smallParts().description.length;
      const outcomes = new Map<string, number[]>();
      const lengths = [...cutLengths(step), bytes.length];
      for (const length of lengths) {
        const outcome = readCut(bytes, length, imagePlan());
        outcomes.set(outcome, [...(outcomes.get(outcome) ?? []), length]);
      }

      expect(outcomes.get('loaded')).toEqual([endMark, bytes.length]);
      expect(outcomes.get('stream_truncated')?.length).toBe(lengths.length - 2);
      expect(outcomes.size).toBe(2);
    });

    it('fails at every length when it arrives byte by byte, for an image and for a machine with known devices', () => {
      const bytes = smallStream();
      const endMark = bytes.length - smallParts().description.length;

      expect(endsOf(bytes, imagePlan(), 1)).toEqual([endMark, bytes.length]);
      expect(endsOf(bytes, small.plan(), 1)).toEqual([bytes.length]);
    });

    it.each(recorded)(
      'fails at every byte outside RAM, and at many bytes inside, of the recorded stream %s',
      (name) => {
        const { stream: bytes } = readStreamFixture(name);
        const ends = endsOf(bytes, imagePlan(), insideRam);
        const endMark = lengthAtEndMark(bytes);

        expect(ends).toEqual(endMark === bytes.length ? [endMark] : [endMark, bytes.length]);
      },
    );
  });
}

/** Lengths that are shorter than a small stream. */
function cutLengths(step: number): number[] {
  let end = 0;
  const near = new Set<number>();
  for (const part of Object.values(smallParts())) {
    for (const length of [end, end + 1, end + part.length - 1]) near.add(length);
    end += part.length;
  }
  return Array.from({ length: end }, (_, length) => length).filter((length) => length % step === 0 || near.has(length));
}

/**
 * Lengths at which a peer that closes would be believed. One reader gets byte after byte, but while it is at pages of RAM
 * `insideRam` at once; asking it whether the end
 * would be taken now does not change it unless it is, and then a new one goes on from the start.
 */
function endsOf(bytes: Buffer, plan: IncomingPlan, insideRam: number): number[] {
  const ends: number[] = [];
  const stream = new TargetStream(plan, () => {}, new InputBuffer());
  for (let length = 0; length < bytes.length; ) {
    const piece = bytes.subarray(length, length + (stream.phase === 'ram' ? insideRam : 1));
    stream.input.room().set(piece);
    stream.input.received(piece.length);
    length += piece.length;
    stream.advance();
    if (isTakenAsWhole(stream, bytes.subarray(0, length), plan)) ends.push(length);
  }
  return ends;
}

function isTakenAsWhole(stream: TargetStream, sent: Buffer, plan: IncomingPlan): boolean {
  if (stream.loaded !== null || stream.mayEndHere) return read(sent, plan).error === null;
  try {
    stream.end();
  } catch (error) {
    if (error instanceof StreamError && error.code === 'stream_truncated') return false;
    throw error;
  }
  return true;
}

/** Behind the footer of the last section, globalstate, one byte follows. */
function lengthAtEndMark(bytes: Buffer): number {
  const idstr = bytes.lastIndexOf('globalstate', bytes.lastIndexOf(Buffer.from([0x7e, 0, 0, 0])));
  return idstr + 'globalstate'.length + 8 + 104 + 5 + 1;
}
