/** A stream that ends too early is never taken for a whole one, wherever it is cut. */
import { describe, expect, it } from 'vitest';
import type { IncomingPlan } from '../../src/domain/transfer-port.ts';
import { StreamError } from '../../src/engine/stream/byte-reader.ts';
import { InputBuffer } from '../../src/engine/worker/input-buffer.ts';
import { TargetStream } from '../../src/engine/worker/target-stream.ts';
import { imagePlan, read, SmallMachine, smallParts, smallStream } from '../engine/target/reading.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';

const small = new SmallMachine();

/** Reads what a peer sent that closed after `length` bytes. */
function readCut(bytes: Buffer, length: number, plan: IncomingPlan): string {
  const { error, loaded } = read(bytes.subarray(0, length), plan);
  return error === null && loaded !== null ? 'loaded' : (error?.code ?? 'neither');
}

describe('a stream that is cut', () => {
  it('fails at every byte for a machine with known devices', () => {
    const bytes = smallStream();
    const outcomes = new Set<string>();
    for (let length = 0; length < bytes.length; length++) outcomes.add(readCut(bytes, length, small.plan()));

    expect([...outcomes]).toEqual(['stream_truncated']);
    expect(readCut(bytes, bytes.length, small.plan())).toBe('loaded');
  });

  it('fails at every byte for an image, but behind the end mark, where only the description is missing', () => {
    const bytes = smallStream();
    const endMark = bytes.length - smallParts().description.length;
    const outcomes = new Map<string, number[]>();
    for (let length = 0; length <= bytes.length; length++) {
      const outcome = readCut(bytes, length, imagePlan());
      outcomes.set(outcome, [...(outcomes.get(outcome) ?? []), length]);
    }

    expect(outcomes.get('loaded')).toEqual([endMark, bytes.length]);
    expect(outcomes.get('stream_truncated')?.length).toBe(bytes.length - 1);
    expect(outcomes.size).toBe(2);
  });

  it.each(['isapc-10.0', 'pc-7.2', 'pc-10.0-return-path', 'pc-10.0-no-vmdesc'])(
    'fails at every byte of the recorded stream %s',
    (name) => {
      const { stream: bytes } = readStreamFixture(name);
      const ends = endsOf(bytes);
      const endMark = lengthAtEndMark(bytes);

      expect(ends).toEqual(endMark === bytes.length ? [endMark] : [endMark, bytes.length]);
    },
  );
});

/**
 * Lengths at which a peer that closes would be believed. One reader gets byte after byte; asking it whether the end
 * would be taken now does not change it unless it is, and then a new one goes on from the start.
 */
function endsOf(bytes: Buffer): number[] {
  const ends: number[] = [];
  const stream = new TargetStream(imagePlan(), () => {}, new InputBuffer());
  for (let length = 1; length <= bytes.length; length++) {
    stream.input.room()[0] = bytes[length - 1] ?? 0;
    stream.input.received(1);
    stream.advance();
    if (isTakenAsWhole(stream, bytes, length)) ends.push(length);
  }
  return ends;
}

function isTakenAsWhole(stream: TargetStream, bytes: Buffer, length: number): boolean {
  if (stream.loaded !== null || stream.mayEndHere) return read(bytes.subarray(0, length), imagePlan()).error === null;
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
