import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { VcpuControl } from '../../../src/engine/memory/vcpu-control.ts';
import { END, ENTRIES, INSIDE } from '../../helpers/workers/control-words.ts';

const LIMIT_MS = 10_000;
const ALL = ~0;

/** Threads that enter and leave forever, and the words with their state. */
class Runners {
  readonly control = new VcpuControl();
  readonly #words = new Int32Array(new SharedArrayBuffer(12));

  constructor(count: number) {
    const url = new URL('../../helpers/workers/control-runner.ts', import.meta.url);
    const workerData = { control: this.control.buffer, words: this.#words };
    const workers = Array.from({ length: count }, () => new Worker(url, { workerData }));
    onTestFinished(async () => {
      Atomics.store(this.#words, END, 1);
      this.control.removeHold(ALL);
      await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
    });
  }

  get entries(): number {
    return Atomics.load(this.#words, ENTRIES);
  }

  get inside(): number {
    return Atomics.load(this.#words, INSIDE);
  }

  /** Blocks until a thread has entered since `entries`. */
  awaitEntry(entries = this.entries): void {
    expect(Atomics.wait(this.#words, ENTRIES, entries, LIMIT_MS)).not.toBe('timed-out');
  }

  /** @returns the number of entries during an observation of this thread. */
  entriesDuring(looks: number): number {
    const before = this.entries;
    for (let look = 0; look < looks; look += 1) if (this.inside !== 0) return -1;
    return this.entries - before;
  }
}

describe('a VcpuControl with threads on it', () => {
  it.each([1, 2, 3])('keeps all of %i threads outside from the stop until the end of the hold', (count) => {
    const runners = new Runners(count);
    const { control } = runners;
    runners.awaitEntry(0);
    for (let round = 0; round < 1000; round += 1) {
      control.addHold(1);
      if (!control.waitStopped(LIMIT_MS)) throw new Error(`round ${round}: a thread did not stop`);
      expect(runners.entriesDuring(300)).toBe(0);
      const { entries } = runners;
      control.removeHold(1);
      if (round % 10 === 0) runners.awaitEntry(entries);
    }
  });

  it('keeps all threads outside until the last of several holds has ended', () => {
    const runners = new Runners(2);
    const { control } = runners;
    runners.awaitEntry(0);
    control.addHold(0b101);
    control.addHold(0b010);
    expect(control.waitStopped(LIMIT_MS)).toBe(true);
    for (const bit of [0b001, 0b100]) {
      control.removeHold(bit);
      expect(runners.entriesDuring(20_000)).toBe(0);
    }
    expect(control.holds()).toBe(0b010);
    const { entries } = runners;
    control.removeHold(0b010);
    runners.awaitEntry(entries);
  });

  it('informs the main thread without blocking it when all threads are outside', async () => {
    const runners = new Runners(2);
    runners.awaitEntry(0);
    for (let round = 0; round < 50; round += 1) {
      runners.control.addHold(8);
      await runners.control.whenStopped();
      expect(runners.entriesDuring(300)).toBe(0);
      runners.control.removeHold(8);
    }
  });

  it('keeps threads outside while others set and clear the same hold', () => {
    const runners = new Runners(2);
    const { control } = runners;
    runners.awaitEntry(0);
    control.addHold(1);
    expect(control.waitStopped(LIMIT_MS)).toBe(true);
    const { entries } = runners;
    for (let round = 0; round < 2000; round += 1) {
      control.addHold(2);
      control.removeHold(2);
    }
    expect(runners.entries).toBe(entries);
  });
});

describe('a VcpuControl', () => {
  it('counts threads inside, and reports a thread that does not leave in time', () => {
    const control = new VcpuControl();
    expect(control.waitStopped(0)).toBe(true);
    expect([control.enter(), control.enter()]).toEqual([true, true]);
    control.addHold(4);
    control.leave();
    expect(control.waitStopped(0)).toBe(false);
    const start = performance.now();
    expect(control.waitStopped(20)).toBe(false);
    expect(performance.now() - start).toBeGreaterThanOrEqual(19);
    control.leave();
    expect(control.waitStopped(0)).toBe(true);
  });

  it('does not count a thread that was refused', () => {
    const control = new VcpuControl();
    control.addHold(1);
    expect(control.enter()).toBe(false);
    expect(control.waitStopped(0)).toBe(true);
  });

  it('resolves when the last thread has left, and at once if none is inside', async () => {
    const control = new VcpuControl();
    await control.whenStopped();
    control.enter();
    control.enter();
    let isStopped = false;
    const stopped = control.whenStopped().then(() => {
      isStopped = true;
    });
    control.leave();
    await new Promise((resolve) => setImmediate(resolve));
    expect(isStopped).toBe(false);
    control.leave();
    await stopped;
  });

  it('sets and clears bits and leaves the others unchanged', () => {
    const control = new VcpuControl();
    control.addHold(0b0110);
    control.addHold(0b0010);
    expect(control.holds()).toBe(0b0110);
    control.removeHold(0b0011);
    expect(control.holds()).toBe(0b0100);
  });

  it('does not park a thread that has seen other holds, nor longer than the given time', () => {
    const control = new VcpuControl();
    control.addHold(1);
    const start = performance.now();
    control.park(0);
    control.park(1, 20);
    expect(performance.now() - start).toBeGreaterThanOrEqual(19);
  });

  it('shows the same holds and throttle to all users of its words', () => {
    const control = new VcpuControl();
    const other = new VcpuControl(control.buffer);
    control.throttlePercent = 40;
    control.addHold(2);
    control.enter();
    expect([other.throttlePercent, other.holds(), other.waitStopped(0)]).toEqual([40, 2, true]);
    other.throttlePercent = 0;
    expect(control.throttlePercent).toBe(0);
  });
});
