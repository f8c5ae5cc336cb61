import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import * as layout from '../../src/engine/memory/layout.ts';
import { combinations } from '../helpers/combinations.ts';
import { ENDED, PAGE_WORDS, STOP } from '../helpers/workers/page-writer-words.ts';
import { KernelBench, PAGES, pageRanges, pageSets } from './migration-bench.ts';

const RUNS = combinations([100, 20], [20]);
const bench = new KernelBench();
beforeEach(() => bench.clear());

describe('syncDirtyLog', () => {
  it.each(RUNS)('has the effect of the reference on every byte of the segment, in %i runs', (numRuns) => {
    fc.assert(
      fc.property(pageSets(), pageSets(), pageSets(), fc.nat(3), (log, migration, written, words) => {
        bench.clear();
        bench.mark('log', log);
        bench.mark('migration', migration);
        bench.mark('written', written);
        const reference = bench.reference();
        expect(bench.kernels.syncDirtyLog(words)).toBe(reference.syncDirtyLog(words));
        bench.expectSame(reference);
      }),
      { numRuns },
    );
  });

  it.each(combinations([200_000, 40_000], [40_000]))(
    'loses no page of %i that another thread writes concurrently, and reads data written before the bit',
    async (least) => {
      const words = new Int32Array(new SharedArrayBuffer((PAGE_WORDS + PAGES) * 4));
      const writer = new Worker(new URL('../helpers/workers/page-writer.ts', import.meta.url), {
        workerData: { memory: bench.memory, words, pages: PAGES },
      });
      const ended = new Promise((resolve) => writer.once('exit', resolve));
      const contents = new Int32Array(bench.memory.buffer);
      const migration = new Uint8Array(bench.memory.buffer, layout.MIGRATION_BITMAP_ADDRESS, 24);
      let taken = 0;
      const take = (): void => {
        taken += bench.kernels.syncDirtyLog(3);
        for (let page = 0; page < PAGES; page += 1) {
          if (((migration[page >> 3]! >> (page & 7)) & 1) === 0) continue;
          Atomics.store(words, PAGE_WORDS + page, contents[(layout.RAM_ADDRESS + page * layout.PAGE_BYTES) / 4]!);
        }
        bench.kernels.clearMigrationBitmap(3);
      };
      const end = performance.now() + 8000;
      while (taken < least && performance.now() < end) take();
      Atomics.store(words, STOP, 1);
      expect(Atomics.wait(words, ENDED, 0, 10_000)).not.toBe('timed-out');
      take();
      const counts = Array.from({ length: PAGES }, (_, page) => contents[(layout.RAM_ADDRESS + page * 4096) / 4]!);
      expect([...words.subarray(PAGE_WORDS)]).toEqual(counts);
      expect(taken).toBe(counts.reduce((sum, count) => sum + count, 0));
      expect(Math.min(...counts)).toBeGreaterThan(10);
      expect(bench.marked('log')).toEqual([]);
      expect(bench.marked('written')).toHaveLength(PAGES);
      await ended;
    },
  );
});

describe('markAllDirty and clearMigrationBitmap', () => {
  it.each(RUNS)('mark exactly the pages of a range, as the reference does, in %i runs', (numRuns) => {
    fc.assert(
      fc.property(pageRanges(), pageSets(), ([first, end], before) => {
        bench.clear();
        bench.mark('migration', before);
        const reference = bench.reference();
        bench.kernels.markAllDirty(first, end);
        reference.markAllDirty(first, end);
        bench.expectSame(reference);
      }),
      { numRuns },
    );
  });

  it.each([63, 64, 65, 128, 129])('mark the %i pages of a segment and none after them', (pages) => {
    bench.kernels.markAllDirty(0, pages);
    expect(bench.marked('migration')).toEqual([...Array(pages).keys()]);
  });

  it.each(RUNS)('clear exactly the given number of words, in %i runs', (numRuns) => {
    fc.assert(
      fc.property(fc.nat(3), pageSets(), (words, pages) => {
        bench.clear();
        for (const bitmap of ['log', 'migration', 'written'] as const) bench.mark(bitmap, pages);
        const reference = bench.reference();
        bench.kernels.clearMigrationBitmap(words);
        reference.clearMigrationBitmap(words);
        bench.expectSame(reference);
      }),
      { numRuns },
    );
  });
});

describe('the layout of a segment', () => {
  const text = readFileSync(new URL('../../kernels/assembly/layout.ts', import.meta.url), 'utf8');
  const figures = [...text.matchAll(/^export const (\w+): usize = ([\d +*]+);$/gm)].map(([, name, sum]) => {
    const value = sum!.split('+').map((term) => term.split('*').reduce((product, factor) => product * +factor, 1));
    return [name!, value.reduce((total, term) => total + term, 0)] as const;
  });
  const own: Readonly<Record<string, number>> = {
    PAGE_BYTES: layout.PAGE_BYTES,
    DIRTY_LOG: layout.DIRTY_LOG_ADDRESS,
    MIGRATION_BITMAP: layout.MIGRATION_BITMAP_ADDRESS,
    WRITTEN_BITMAP: layout.WRITTEN_BITMAP_ADDRESS,
    RAM: layout.RAM_ADDRESS,
  };

  it('is the same for the kernels and for the engine', () => {
    expect(Object.fromEntries(figures)).toEqual(own);
    expect(text.match(/export const/g)).toHaveLength(figures.length);
  });

  it('has a bit for every page in each bitmap, and no two parts overlap', () => {
    const bitmapBytes = layout.SEGMENT_RAM_BYTES_MAX / layout.PAGE_BYTES / 8;
    expect(layout.MIGRATION_BITMAP_ADDRESS - layout.DIRTY_LOG_ADDRESS).toBeGreaterThanOrEqual(bitmapBytes);
    expect(layout.WRITTEN_BITMAP_ADDRESS - layout.MIGRATION_BITMAP_ADDRESS).toBeGreaterThanOrEqual(bitmapBytes);
    expect(layout.STAGING_ADDRESS - layout.WRITTEN_BITMAP_ADDRESS).toBeGreaterThanOrEqual(bitmapBytes);
    const areas = Object.values(layout.WORK_AREA).flatMap(({ results, scratch, staging }) => [
      { from: results, to: results + 12, until: layout.DIRTY_LOG_ADDRESS },
      { from: scratch, to: scratch + 256, until: layout.DIRTY_LOG_ADDRESS },
      { from: staging, to: staging + layout.STAGING_BYTES, until: layout.RAM_ADDRESS },
    ]);
    for (const { to, until } of areas) expect(to).toBeLessThanOrEqual(until);
    const sorted = [...areas, { from: layout.MEMORY_PROBE_ADDRESS, to: layout.MEMORY_PROBE_ADDRESS + 4 }].sort(
      (one, other) => one.from - other.from,
    );
    for (const [index, { to }] of sorted.entries()) expect(to).toBeLessThanOrEqual(sorted[index + 1]?.from ?? to);
  });
});
