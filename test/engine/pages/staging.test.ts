import { describe, expect, test } from 'vitest';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import { WORK_AREA } from '../../../src/engine/memory/layout.ts';
import { Staging } from '../../../src/engine/pages/staging.ts';
import { WaitPoint } from '../../../src/engine/session/wait-point.ts';

/** A channel that keeps its buffers until the test releases them. */
function make(stallMs = 10_000, alignBytes?: number) {
  const writes: { readonly bytes: Uint8Array; readonly done: () => void }[] = [];
  const channel = {
    hasReverse: false,
    write: (bytes: Uint8Array, done: () => void) => void writes.push({ bytes, done }),
    onReverse: () => {},
    onFailure: () => {},
    finish: () => Promise.resolve(),
    destroy: () => {},
  };
  const memory = createGuestMemory([{ name: 'ram', bytes: 2 ** 20 }]);
  const waitPoint = new WaitPoint(() => false);
  return {
    writes,
    waitPoint,
    staging: new Staging({
      area: WORK_AREA.transfer,
      channel,
      waitPoint,
      memory,
      stallMs,
      ...(alignBytes && { alignBytes }),
    }),
  };
}

/** Copies of the data that was passed to the channel. */
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe('the staging area', () => {
  test('passes bytes on in order, in complete slots and a last part', async () => {
    const { staging, writes } = make();
    await staging.open(0, 1);
    await staging.put(Buffer.from('one '));
    await staging.put(Buffer.from('two'));
    expect(writes).toHaveLength(0);
    staging.send();
    staging.send();
    expect(writes.map(({ bytes }) => text(bytes))).toEqual(['one two']);
    expect(staging.sentBytes).toBe(7);
  });

  test('does not change bytes in transit until the channel returns them', async () => {
    const { staging, writes } = make();
    await staging.open(0, 1);
    await staging.put(Buffer.from('first'));
    staging.send();
    await staging.open(0, 1);
    await staging.put(Buffer.from('other'));
    staging.send();
    expect(writes.map(({ bytes }) => text(bytes))).toEqual(['first', 'other']);
  });

  test('waits while all slots are in transit, and continues with the first returned slot', async () => {
    const { staging, writes } = make();
    const big = Buffer.alloc(16 * 2 ** 20, 'x');
    await staging.open(0, 1);
    let isDone = false;
    const putting = staging.put(big).then(() => {
      isDone = true;
    });
    // All work without a wait has been done after this.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const inFlight = writes.length;
    const staged = writes.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(staged).toBeLessThanOrEqual(4 * 2 ** 20);
    expect(isDone).toBe(false);
    writes[0]?.done();
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(writes.length).toBe(inFlight + 1);
    for (let next = 1; next < writes.length || !isDone; next += 1) {
      writes[next]?.done();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await putting;
    staging.send();
    expect(writes.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(big.length);
  });

  test('passes on multiples of the alignment, and carries the rest into the next slot', async () => {
    const { staging, writes } = make(10_000, 65_536);
    const stream = Buffer.from(Array.from({ length: 3 * 2 ** 20 }, (_, index) => (index * 7) % 251));
    const handed: Buffer[] = [];
    const takeAll = () => {
      for (const { bytes, done } of writes.splice(0)) {
        handed.push(Buffer.from(bytes));
        done();
      }
    };
    await staging.open(0, 1);
    for (let at = 0; at < stream.length; at += 100_000) {
      const part = stream.subarray(at, at + 100_000);
      await staging.open(0, part.length);
      await staging.put(part);
      takeAll();
    }
    expect(handed.length).toBeGreaterThan(2);
    for (const { length } of handed) expect(length % 65_536).toBe(0);
    staging.send();
    takeAll();
    expect(Buffer.concat(handed).equals(stream)).toBe(true);
    expect(staging.sentBytes).toBe(stream.length);
  });

  test('fails at the deadline if the channel returns nothing', async () => {
    const { staging } = make(20);
    await staging.open(0, 1);
    await staging.put(Buffer.from('x'));
    await expect(staging.drain()).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  test('is drained at once if it is empty', async () => {
    const { staging, writes } = make();
    await staging.drain();
    expect(writes).toHaveLength(0);
  });
});
