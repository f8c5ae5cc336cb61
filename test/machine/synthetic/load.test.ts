import { describe, expect, it } from 'vitest';
import { DIRTY_LOG_ADDRESS } from '../../../src/engine/memory/layout.ts';
import type { SyntheticMachine } from '../../../src/machine/synthetic/synthetic-machine.ts';
import { combinations } from '../../helpers/combinations.ts';
import {
  digestOf,
  type GuestOptions,
  loadedFrom,
  loadSnapshot,
  MIB,
  moveGuest,
  nextPanic,
  pageOf,
  restore,
  startedGuest,
  startGuest,
  takeSnapshot,
  untilTicks,
  untilWritten,
} from '../guest-bench.ts';

const [LOADS = 0] = combinations<readonly number[]>([20], [6]);

/** RAM and work area of each segment. */
function bytesOf(target: ReturnType<SyntheticMachine['loadTarget']>): Uint8Array[] {
  if (target.form !== 'devices') throw new Error('a synthetic guest has devices');
  return target.memory.segments.map(({ buffer }) => new Uint8Array(buffer, DIRTY_LOG_ADDRESS));
}

function isFresh(target: ReturnType<SyntheticMachine['loadTarget']>): boolean {
  return bytesOf(target).every((bytes) => Buffer.compare(bytes, new Uint8Array(bytes.length)) === 0);
}

describe('a guest that a snapshot is loaded into', () => {
  const several: GuestOptions = { vcpus: 3, segmentBytesMax: 2 * MIB, workload: { check: 256 * MIB } };

  it.each(combinations([{ vcpus: 1 }, several], [several]))(
    'continues from it, several times (%o)',
    async (options) => {
      const machine = await startedGuest(options);
      const snapshot = takeSnapshot(machine);
      const saved = machine.describe().guest!;
      machine.release('operator');
      for (let load = 0; load < LOADS; load += 1) {
        await untilWritten(machine, saved.pagesWritten + 200);
        await machine.hold('snapshot');
        machine.adopt(loadSnapshot(machine, snapshot));
        expect(machine.describe().guest).toEqual(saved);
        expect(Buffer.compare(pageOf(machine, 20), snapshot.ram[20]!)).toBe(0);
        machine.release('snapshot');
      }
      await untilTicks(machine, saved.ticks + 2);
      expect(machine.describe().guest!.panic).toBeNull();
    },
  );

  it('is unchanged until the load, and continues if the load is discarded', async () => {
    const machine = await startedGuest();
    const snapshot = takeSnapshot(machine);
    machine.release('operator');
    await untilWritten(machine, machine.describe().guest!.pagesWritten + 500);
    await machine.hold('operator');
    const before = digestOf(machine);
    loadSnapshot(machine, { ...snapshot, ram: snapshot.ram.map((page) => page.map((byte) => byte ^ 0x55)) });
    expect(digestOf(machine)).toBe(before);
    machine.discardLoadTarget();
    machine.discardLoadTarget();
    expect(digestOf(machine)).toBe(before);
    machine.release('operator');
    await untilWritten(machine, machine.describe().guest!.pagesWritten + 500);
    expect(machine.describe().guest!.panic).toBeNull();
  });

  it('is unchanged if the loaded machine is refused', async () => {
    const machine = await startedGuest();
    const loaded = loadSnapshot(machine, takeSnapshot(machine));
    if (loaded.state.form !== 'devices') throw new Error('a synthetic guest has devices');
    const [before, own] = [digestOf(machine), machine.transferSource().memory];
    const bodies = loaded.state.bodies.map((body) => body.map(() => 0xff));
    const refused = { globalState: 'running', state: { ...loaded.state, bodies } };
    expect(() => machine.adopt(refused)).toThrow(RangeError);
    machine.discardLoadTarget();
    expect(digestOf(machine)).toBe(before);
    expect(machine.transferSource().memory).toBe(own);
    machine.release('operator');
    await untilWritten(machine, machine.describe().guest!.pagesWritten + 500);
    expect(machine.describe().guest!.panic).toBeNull();
  });

  it('accepts only load memory that it returned and that was not discarded', async () => {
    const machine = await startedGuest();
    const other = await startedGuest();
    const snapshot = takeSnapshot(machine);
    const message = /memory that is not this machine's/;
    expect(() => machine.adopt(loadedFrom(machine, other))).toThrow(message);
    const loaded = loadSnapshot(machine, snapshot);
    machine.discardLoadTarget();
    expect(() => machine.adopt(loaded)).toThrow(message);
    const again = loadSnapshot(machine, snapshot);
    machine.adopt(again);
    machine.loadTarget();
    machine.adopt(loadedFrom(machine));
  });

  it('detects faults of loaded memory, and runs without faults after a valid load', async () => {
    const machine = await startedGuest({ workload: { check: 256 * MIB } });
    const snapshot = takeSnapshot(machine);
    const ram = snapshot.ram.map((page) => Uint8Array.from(page));
    ram[1800]![77]! ^= 1;
    const panic = nextPanic(machine);
    machine.adopt(loadSnapshot(machine, { ...snapshot, ram }));
    machine.release('operator');
    await expect(panic).resolves.toMatchObject({ kind: 'corrupt', address: 1800 * 4096 });
    await restore(machine, snapshot);
    await untilWritten(machine, machine.describe().guest!.pagesWritten + 500);
    expect(machine.describe().guest!.panic).toBeNull();
  });

  it('can leave for another service, and another guest can arrive in its loaded memory', async () => {
    const [machine, other] = [await startedGuest({ vcpus: 2 }), startGuest({ vcpus: 2, holds: ['incoming'] })];
    machine.adopt(loadSnapshot(machine, takeSnapshot(machine)));
    const { pagesWritten } = machine.describe().guest!;
    moveGuest(machine, other);
    other.release('incoming');
    await untilWritten(other, pagesWritten + 500);
    await other.hold('operator');
    moveGuest(other, machine);
    machine.release('operator');
    await untilWritten(machine, other.describe().guest!.pagesWritten + 500);
    expect([machine, other].map((guest) => guest.describe().guest!.panic)).toEqual([null, null]);
  });

  it('returns empty load memory after any use', async () => {
    const machine = await startedGuest({ segmentBytesMax: 4 * MIB });
    const snapshot = takeSnapshot(machine);
    for (const bytes of bytesOf(machine.loadTarget())) bytes.fill(0xa5);
    expect(isFresh(machine.loadTarget())).toBe(true);
    machine.discardLoadTarget();
    machine.adopt(loadSnapshot(machine, snapshot));
    machine.release('operator');
    await untilWritten(machine, machine.describe().guest!.pagesWritten + 500);
    await restore(machine, snapshot);
    expect(isFresh(machine.loadTarget())).toBe(true);
  });

  it('needs no more memory after many loads than after the first', async () => {
    const machine = await startedGuest({ ramBytes: 64 * MIB, workload: { fill: 'random' } });
    const snapshot = takeSnapshot(machine);
    machine.release('operator');
    await restore(machine, snapshot);
    const before = process.memoryUsage().rss;
    for (let load = 0; load < LOADS; load += 1) await restore(machine, snapshot);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB);
    expect(machine.describe().guest!.panic).toBeNull();
  });
});
