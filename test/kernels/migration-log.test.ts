import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import * as layout from '../../src/engine/memory/layout.ts';
import { ENDED, ROUND, STOP } from '../helpers/workers/page-writer-words.ts';
import { KernelBench, PAGES, pageRanges, pageSets } from './migration-bench.ts';

const bench = new KernelBench();
beforeEach(() => bench.clear());

describe('syncDirtyLog', () => {
  it('does in every byte of the segment what the reference does', () => {
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
      { numRuns: 200 },
    );
  });

  it('loses no page that another thread writes meanwhile, and sees what was written before the bit', async () => {
    const words = new Int32Array(new SharedArrayBuffer(12));
    const writer = new Worker(new URL('../helpers/workers/page-writer.ts', import.meta.url), {
      workerData: { memory: bench.memory, words, pages: PAGES },
    });
    const ended = new Promise((resolve) => writer.once('exit', resolve));
    const last = new Int32Array(PAGES);
    const view = new Int32Array(bench.memory.buffer);
    const take = (): boolean => {
      const found = bench.kernels.syncDirtyLog(3);
      for (const page of bench.marked('migration')) last[page] = view[(layout.RAM_ADDRESS + page * 4096) / 4]!;
      bench.kernels.clearMigrationBitmap(3);
      return found > 0;
    };
    expect(Atomics.wait(words, ROUND, 0, 20_000)).not.toBe('timed-out');
    const end = performance.now() + 15_000;
    for (let syncs = 0; syncs < 2000 && performance.now() < end; ) if (take()) syncs += 1;
    Atomics.store(words, STOP, 1);
    expect(Atomics.wait(words, ENDED, 0, 20_000)).not.toBe('timed-out');
    take();
    const rounds = Atomics.load(words, ROUND);
    expect(rounds).toBeGreaterThan(10);
    expect([...last]).toEqual(Array.from({ length: PAGES }, () => rounds));
    expect(bench.marked('log')).toEqual([]);
    expect(bench.marked('written')).toHaveLength(PAGES);
    await ended;
  });
});

describe('markAllDirty and clearMigrationBitmap', () => {
  it('mark exactly the pages of a range, as the reference does', () => {
    fc.assert(
      fc.property(pageRanges(), pageSets(), ([first, end], before) => {
        bench.clear();
        bench.mark('migration', before);
        const reference = bench.reference();
        bench.kernels.markAllDirty(first, end);
        reference.markAllDirty(first, end);
        bench.expectSame(reference);
      }),
    );
  });

  it.each([63, 64, 65, 128, 129])('mark the %i pages of a segment and none behind them', (pages) => {
    bench.kernels.markAllDirty(0, pages);
    expect(bench.marked('migration')).toEqual([...Array(pages).keys()]);
  });

  it('forget so many words and no more', () => {
    fc.assert(
      fc.property(fc.nat(3), pageSets(), (words, pages) => {
        bench.clear();
        for (const bitmap of ['log', 'migration', 'written'] as const) bench.mark(bitmap, pages);
        const reference = bench.reference();
        bench.kernels.clearMigrationBitmap(words);
        reference.clearMigrationBitmap(words);
        bench.expectSame(reference);
      }),
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
    ENGINE_RESULT: layout.ENGINE_RESULT_ADDRESS,
    DIRTY_LOG: layout.DIRTY_LOG_ADDRESS,
    MIGRATION_BITMAP: layout.MIGRATION_BITMAP_ADDRESS,
    WRITTEN_BITMAP: layout.WRITTEN_BITMAP_ADDRESS,
    RAM: layout.RAM_ADDRESS,
  };

  it('is the same for the kernels and for the engine', () => {
    expect(Object.fromEntries(figures)).toEqual(own);
    expect(text.match(/export const/g)).toHaveLength(figures.length);
  });

  it('has room for a bit of every page in each bitmap, and no two parts overlap', () => {
    const bitmapBytes = layout.SEGMENT_RAM_BYTES_MAX / layout.PAGE_BYTES / 8;
    expect(layout.MIGRATION_BITMAP_ADDRESS - layout.DIRTY_LOG_ADDRESS).toBeGreaterThanOrEqual(bitmapBytes);
    expect(layout.WRITTEN_BITMAP_ADDRESS - layout.MIGRATION_BITMAP_ADDRESS).toBeGreaterThanOrEqual(bitmapBytes);
    expect(layout.STAGING_ADDRESS - layout.WRITTEN_BITMAP_ADDRESS).toBeGreaterThanOrEqual(bitmapBytes);
    expect(layout.RAM_ADDRESS - layout.STAGING_ADDRESS).toBeGreaterThanOrEqual(layout.STAGING_BYTES);
    expect(layout.KERNEL_SCRATCH_ADDRESS).toBeGreaterThanOrEqual(layout.ENGINE_RESULT_ADDRESS + 12);
    expect(layout.DIRTY_LOG_ADDRESS).toBeGreaterThanOrEqual(layout.KERNEL_SCRATCH_ADDRESS + 256);
  });
});
