// Measured rates compared with the counts of the vCPUs. A busy machine may slow the guest down, so no rate is
// compared with the configured one.

import { describe, expect, test } from 'vitest';
import type { DirtyRateMode } from '../../../src/domain/ports/hypervisor.ts';
import type { SyntheticMachine } from '../../../src/machine/synthetic/synthetic-machine.ts';
import { combinations } from '../../helpers/combinations.ts';
import {
  clearDirtyLog,
  copyRam,
  type GuestOptions,
  isDirty,
  ledgerWord,
  MIB,
  pageCount,
  startedGuest,
  startGuest,
  untilWritten,
} from '../guest-bench.ts';

const PAGE_BYTES = 4096;
const RING_ENTRIES = 4096;
/** The number of attempts on a busy machine. */
const STRETCHES_MAX = 40;
/** Samples for each GiB that give thousands of pages: what is left to chance is a few percent. */
const SAMPLE_PAGES = 16_384;

/** A guest that writes no page twice during a measurement. */
async function measuredGuest(options: GuestOptions = {}): Promise<SyntheticMachine> {
  const workload = { rate: 20 * MIB, span: 128 * MIB, pattern: 'seq', fill: 'random', check: 0 } as const;
  const machine = startGuest({ ramBytes: 128 * MIB, ...options, workload: { ...workload, ...options.workload } });
  await untilWritten(machine, 1);
  return machine;
}

function written(machine: SyntheticMachine): number {
  return machine.describe().guest?.pagesWritten ?? 0;
}

/** The measured rate, and the write rate of the vCPUs during the call, in bytes/s. */
async function measure(machine: SyntheticMachine, mode: DirtyRateMode, calcTimeMs: number) {
  const before = written(machine);
  const begunMs = performance.now();
  const plan = { mode, calcTimeMs, samplePages: SAMPLE_PAGES };
  const figures = await machine.dirty.measure(plan, new AbortController().signal);
  const ownBytes = (written(machine) - before) * PAGE_BYTES;
  const own = (ownBytes * 1000) / (performance.now() - begunMs);
  return { figures, measured: (figures.bytes * 1000) / figures.elapsedMs, own };
}

/** The number of writes of each page by the ledger, as a second measure. */
function ledger(machine: SyntheticMachine): readonly number[] {
  return Array.from({ length: pageCount(machine) }, (_, page) => ledgerWord(machine, page));
}

/** Rates in MB/s and times in ms. */
const SLOW = { rate: 20, samplingMs: 1500, countMs: 600 };
const MIDDLE = { rate: 100, samplingMs: 800, countMs: 300 };
const FAST = { rate: 400, samplingMs: 200, countMs: 200 };

describe.each([
  { mode: 'page-sampling', ringEntries: null, sample: FAST, tolerance: 0.2 },
  { mode: 'dirty-bitmap', ringEntries: null, sample: MIDDLE, tolerance: 0.1 },
  { mode: 'dirty-ring', ringEntries: RING_ENTRIES, sample: SLOW, tolerance: 0.1 },
] as const)('in mode $mode', ({ mode, ringEntries, sample, tolerance }) => {
  test('the measured rate at 20, 100 and 400 MB/s is the rate of the vCPUs', async () => {
    const machine = await measuredGuest({ ringEntries });
    for (const { rate, samplingMs, countMs } of combinations([SLOW, MIDDLE, FAST], [sample])) {
      const calcTimeMs = mode === 'page-sampling' ? samplingMs : countMs;
      machine.setWorkload({ rate: rate * MIB });
      const { figures, measured, own } = await measure(machine, mode, calcTimeMs);
      expect(figures.elapsedMs).toBeGreaterThanOrEqual(calcTimeMs);
      expect(Math.abs(measured - own), `${rate} MB/s: ${measured} is not ${own}`).toBeLessThan(own * tolerance);
    }
  });

  test('a stopped guest dirties no page', async () => {
    const machine = await startedGuest({ ringEntries, workload: { rate: 200 * MIB } });
    const { figures } = await measure(machine, mode, 50);
    expect(figures).toMatchObject({ bytes: 0, bytesByVcpu: mode === 'dirty-ring' ? [0] : [] });
  });

  test('a measurement can be cancelled', async () => {
    const machine = startGuest({ ringEntries });
    const calledOff = new AbortController();
    const plan = { mode, calcTimeMs: 60_000, samplePages: SAMPLE_PAGES };
    const measured = machine.dirty.measure(plan, calledOff.signal);
    calledOff.abort();
    await expect(measured).rejects.toThrow(/abort/);
    expect(machine.dirty.trace.epoch).toBe(0);
  });
});

describe('dirty pages that are written again', () => {
  test('count once in mode dirty-bitmap', async () => {
    const options = {
      ramBytes: 16 * MIB,
      vcpus: 2,
      workload: { rate: 300 * MIB, span: 8 * MIB, pattern: 'hot' },
    } as const;
    const machine = await startedGuest(options);
    const before = ledger(machine);
    machine.release('operator');
    const measuring = measure(machine, 'dirty-bitmap', 100);
    const { figures } = await measuring;
    await machine.hold('operator');
    const after = ledger(machine);
    const pages = after.filter((word, page) => word !== before[page]).length;
    const writes = after.reduce((sum, word, page) => sum + word - (before[page] ?? 0), 0);
    expect(writes).toBeGreaterThan(pages * 1.5);
    // The pages of the ledger are dirty too, and more pages may follow after the end.
    expect(figures.bytes / PAGE_BYTES).toBeLessThan(pages + pageCount(machine) / 512 + 3);
    expect(figures.bytes / PAGE_BYTES).toBeGreaterThan(pages * 0.9);
  });

  test('count again in mode dirty-ring each time that the ring was full', async () => {
    const workload = { rate: 100 * MIB, span: 2 * MIB, pattern: 'seq' } as const;
    const machine = startGuest({ ringEntries: 64, workload });
    await untilWritten(machine, 600);
    const { measured, own } = await measure(machine, 'dirty-ring', 200);
    expect(Math.abs(measured - own)).toBeLessThan(own * 0.1);
  });
});

test('the dirty ring counts each vCPU separately', async () => {
  // Filled with zeros, so that no vCPU boots, which dirties RAM without a limit.
  const machine = await measuredGuest({
    ringEntries: RING_ENTRIES,
    vcpus: 2,
    workload: { rate: 200 * MIB, fill: 'zero' },
  });
  machine.dirty.limit(1, 20);
  const { figures } = await measure(machine, 'dirty-ring', 500);
  const [first = 0, second = 0] = figures.bytesByVcpu;
  expect(first + second).toBe(figures.bytes);
  expect(second).toBeGreaterThan(0);
  expect((second * 1000) / figures.elapsedMs / MIB).toBeLessThan(23);
  expect(first).toBeGreaterThan(second);
});

test('a migration finds every dirty page in its log during a measurement', async () => {
  const options = { ringEntries: 64, vcpus: 2, workload: { pattern: 'hot', rate: 200 * MIB } } as const;
  const machine = await startedGuest(options);
  const [rounds = 0] = combinations<readonly number[]>([10], [4]);
  for (let round = 0; round < rounds; round += 1) {
    clearDirtyLog(machine);
    const before = copyRam(machine);
    const seen = written(machine);
    const measuring = measure(machine, 'dirty-ring', 50);
    machine.release('operator');
    await untilWritten(machine, seen + 20);
    await machine.hold('operator');
    await measuring;
    const after = copyRam(machine);
    const changed = after.flatMap((page, index) => (Buffer.compare(page, before[index]!) === 0 ? [] : [index]));
    expect(changed.length).toBeGreaterThan(1);
    expect(changed.filter((page) => !isDirty(machine, page))).toEqual([]);
  }
});

test('a vCPU with a limit of 50 MB/s writes at that rate, and faster after the limit is removed', async () => {
  const machine = await measuredGuest({ ringEntries: RING_ENTRIES, workload: { rate: 200 * MIB, fill: 'zero' } });
  const rate = async () => (await measure(machine, 'dirty-ring', 400)).own / MIB;
  machine.dirty.limit(0, 50);
  await rate();
  // Other work on the test machine may hold the vCPU up for a while, but nothing may let it go faster.
  let fastest = 0;
  for (let round = 0; round < STRETCHES_MAX && fastest < 45; round += 1) fastest = Math.max(fastest, await rate());
  expect(fastest).toBeGreaterThan(45);
  expect(fastest).toBeLessThan(55);
  await expect.poll(() => machine.dirty.currentRates()[0], { timeout: 20_000 }).toBeGreaterThan(0);
  expect((machine.dirty.currentRates()[0] ?? 0) / MIB).toBeLessThan(55);
  machine.dirty.limit(0, null);
  expect(machine.dirty.currentRates()).toEqual([0]);
  for (fastest = 0; fastest < 70; ) fastest = await rate();
  expect(machine.describe().guest?.panic).toBeNull();
});
