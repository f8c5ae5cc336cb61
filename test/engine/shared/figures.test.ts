import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FigureBlock, sharedMicroseconds } from '../../../src/engine/shared/figures.ts';
import { LiveParameterCells } from '../../../src/engine/shared/live-parameters.ts';
import { liveParameterCells, liveParameters } from '../../helpers/live-parameters.ts';

describe('a block of figures', () => {
  it('starts with zeros, and counts no time before the migration has begun', () => {
    const figures = new FigureBlock().read();
    expect(Object.values(figures).every((value) => value === 0)).toBe(true);
  });

  it('has the same figures for every thread, exact below 2^53', () => {
    const block = new FigureBlock();
    const other = new FigureBlock(block.buffer);
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        block.set('transferredBytes', value);
        expect(other.read().transferredBytes).toBe(value);
      }),
    );
    block.set('normalPages', 5);
    other.add('normalPages', 7);
    expect(block.get('normalPages')).toBe(12);
    expect(block.read()).toMatchObject({ normalPages: 12, duplicatePages: 0, remainingBytes: 0 });
  });

  it('counts total time from the start to the end', async () => {
    const block = new FigureBlock();
    block.set('startedUs', sharedMicroseconds() - 250_000);
    const running = block.read().totalTimeMs;
    expect(running).toBeGreaterThanOrEqual(250);
    block.end();
    const atEnd = block.get('endedUs');
    const total = block.read().totalTimeMs;
    expect(total).toBeGreaterThanOrEqual(running);
    while (sharedMicroseconds() < atEnd + 5000);
    block.end();
    expect(block.get('endedUs')).toBe(atEnd);
    expect(block.read().totalTimeMs).toBe(total);
  });

  it('has times in whole milliseconds and megabits with three decimals', () => {
    const block = new FigureBlock();
    block.set('startedUs', 1_000_000);
    block.set('setupEndedUs', 1_012_400);
    block.set('endedUs', 3_500_600);
    block.set('downtimeUs', 41_600);
    block.set('mbps', 1.2344);
    expect(block.read()).toMatchObject({ setupTimeMs: 12, totalTimeMs: 2501, downtimeMs: 42, mbps: 1.234 });
  });

  it('has no set-up time before set-up has ended', () => {
    const block = new FigureBlock();
    block.set('startedUs', sharedMicroseconds() - 100_000);
    expect(block.read().setupTimeMs).toBe(0);
  });

  it('has a new revision after each visible change', () => {
    const block = new FigureBlock();
    block.touch();
    block.touch();
    expect(block.read().revision).toBe(2);
    block.end();
    expect(block.read().revision).toBe(3);
  });
});

describe('live parameters', () => {
  it('are equal for every thread, and no bandwidth means no limit', () => {
    const cells = liveParameterCells({ 'max-bandwidth': 0, 'cpu-throttle-tailslow': true });
    const other = new LiveParameterCells(cells.buffer);
    expect(other.limit('max-bandwidth')).toBe(Number.POSITIVE_INFINITY);
    expect([other.get('cpu-throttle-tailslow'), other.get('downtime-limit')]).toEqual([1, 300]);
    const change = { 'max-bandwidth': 2 ** 53 - 1, 'avail-switchover-bandwidth': 7, 'downtime-limit': 2_000_000 };
    cells.write(liveParameters({ ...change, 'max-cpu-throttle': 98 }));
    expect(other.limit('max-bandwidth')).toBe(2 ** 53 - 1);
    expect(other.get('avail-switchover-bandwidth')).toBe(7);
    expect(other.get('downtime-limit')).toBe(2_000_000);
    expect([other.get('max-cpu-throttle'), other.get('cpu-throttle-tailslow')]).toEqual([98, 0]);
  });
});
