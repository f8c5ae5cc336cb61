// A stream has the same result for any split into reads.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LoadedMachine } from '../../../src/engine/memory/machine-state.ts';
import { blockBytes, imagePlan, read, SmallMachine, smallStream } from '../../engine/stream/reading.ts';
import { WRONG } from '../../engine/stream/wrong-streams.ts';
import { readStreamFixture } from '../qemu/fixtures.ts';

const SEED = 0x7f0001;
const small = new SmallMachine();
const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 9000 })), {
  minLength: 1,
  maxLength: 20,
});

/** Everything of an image in a form that can be compared. */
function summary(loaded: LoadedMachine | null): unknown {
  if (loaded?.state.form !== 'image') throw new Error('no image was loaded');
  const { image, memory, machineName } = loaded.state;
  return {
    machineName,
    globalState: loaded.globalState,
    tail: Buffer.from(image.configurationTail).toString('hex'),
    switchoverStart: image.switchoverStart,
    ramSectionId: image.ramSectionId,
    sections: image.sections.map((section) => ({ ...section, body: Buffer.from(section.body).toString('hex') })),
    description: image.vmDescription === null ? null : Buffer.from(image.vmDescription).toString('latin1'),
    ram: memory.blocks.map(({ name }) => [name, blockBytes(memory, name).toString('latin1')]),
  };
}

export type ChunkingEffort = {
  /** Recorded streams of QEMU. */
  readonly recorded: readonly string[];
  /** Ways in which a recorded stream of QEMU is split. */
  readonly recordedRuns: number;
  /** Ways in which the stream of a small machine is split. */
  readonly smallRuns: number;
  /** Longest stream with a fault that also comes in single bytes and in pieces of seven. */
  readonly singleBytesMax: number;
};

export function describeChunking({ recorded, recordedRuns, smallRuns, singleBytesMax }: ChunkingEffort): void {
  describe('a stream in pieces', () => {
    it.each(recorded)('%s of QEMU gives the same image', (name) => {
      const { stream } = readStreamFixture(name);
      const whole = JSON.stringify(summary(read(stream, imagePlan()).loaded));

      fc.assert(
        fc.property(pieces, (sizes) => {
          expect(JSON.stringify(summary(read(stream, imagePlan(), sizes).loaded)) === whole).toBe(true);
        }),
        { seed: SEED, numRuns: recordedRuns },
      );
    });

    it('gives the same RAM and devices of a known machine, even byte by byte', () => {
      const bytes = smallStream();
      const result = (sizes: readonly number[]) => {
        const { loaded } = read(bytes, small.plan(), sizes);
        return [JSON.stringify(loaded), blockBytes(small.memory, 'small.ram').toString('latin1')];
      };
      const whole = result([bytes.length]);

      expect(result([1])).toEqual(whole);
      fc.assert(
        fc.property(pieces, (sizes) => {
          expect(result(sizes)).toEqual(whole);
        }),
        { seed: SEED, numRuns: smallRuns },
      );
    });

    it.each(WRONG)('is refused with the same error for %s', (_what, change, code) => {
      const bytes = smallStream(change);
      const short = bytes.length <= singleBytesMax ? [[1], [7]] : [];
      for (const sizes of [...short, [4096], [3, 5000]]) {
        expect(read(bytes, small.plan(), sizes).error?.code).toBe(code);
        expect(read(bytes, imagePlan(), sizes).error?.code).toBe(code);
      }
    });
  });
}
