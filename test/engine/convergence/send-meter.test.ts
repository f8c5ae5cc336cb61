import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SendMeter } from '../../../src/engine/convergence/send-meter.ts';
import { FigureBlock, sharedMicroseconds } from '../../../src/engine/shared/figures.ts';

const PAGE = 4096;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'hrtime'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function make() {
  const figures = new FigureBlock();
  return { figures, meter: new SendMeter(figures) };
}

describe('the meter of a sender', () => {
  test('counts bytes, pages and the remaining bytes', () => {
    const { figures, meter } = make();
    meter.beginPass(100 * PAGE);
    meter.sent(50, 100 * PAGE);
    meter.sent(50 + 8 + PAGE + 9, 98 * PAGE, { bytes: 8 + PAGE + 9, normal: 1, zero: 1 });
    expect(figures.read()).toMatchObject({
      transferredBytes: 50 + 8 + PAGE + 9,
      precopyBytes: 8 + PAGE + 9,
      downtimeBytes: 0,
      normalPages: 1,
      duplicatePages: 1,
      remainingBytes: 98 * PAGE,
      dirtySyncCount: 1,
    });
    meter.isDowntime = true;
    meter.sent(200 + PAGE, 97 * PAGE, { bytes: 17, normal: 0, zero: 1 });
    expect(figures.read()).toMatchObject({ precopyBytes: 8 + PAGE + 9, downtimeBytes: 17, duplicatePages: 2 });
  });

  test('expects a downtime of dirty bytes divided by bandwidth, from the second pass on', () => {
    const { figures, meter } = make();
    meter.beginPass(1000 * PAGE);
    vi.advanceTimersByTime(100);
    meter.sent(1_000_000, 0);
    meter.closeWindow(0);
    expect(figures.read()).toMatchObject({ bandwidth: 10_000_000, mbps: 80, expectedDowntimeMs: 0 });
    meter.beginPass(5_000_000);
    vi.advanceTimersByTime(100);
    meter.sent(2_000_000, 4_000_000);
    meter.closeWindow(0);
    expect(figures.read().expectedDowntimeMs).toBe(500);
    vi.advanceTimersByTime(100);
    meter.sent(3_000_000, 3_000_000);
    meter.closeWindow(50_000_000);
    expect(figures.read()).toMatchObject({ bandwidth: 10_000_000, expectedDowntimeMs: 100 });
  });

  test('has the dirty rate after a period of a second', () => {
    const { figures, meter } = make();
    meter.synced(0);
    vi.advanceTimersByTime(600);
    meter.synced(300);
    expect(figures.read().dirtyPagesRate).toBe(0);
    vi.advanceTimersByTime(600);
    meter.synced(900);
    expect(figures.read().dirtyPagesRate).toBe(1000);
  });

  test('has the sums of a pass, which begins at the end of the previous pass', () => {
    const { figures, meter } = make();
    figures.set('startedUs', sharedMicroseconds());
    vi.advanceTimersByTime(15);
    expect(meter.beginPass(10 * PAGE)).toBe(figures.get('startedUs') + 15_000);
    vi.advanceTimersByTime(25);
    meter.sent(3 * PAGE, 7 * PAGE, { bytes: 3 * PAGE, normal: 3, zero: 4 });
    expect(meter.endPass(5 * PAGE)).toMatchObject({ pass: 1, startedMs: 15, durationMs: 25 });
    meter.beginPass(5 * PAGE);
    vi.advanceTimersByTime(25);
    meter.sent(5 * PAGE, 3 * PAGE, { bytes: 2 * PAGE, normal: 2, zero: 0 });
    expect(meter.endPass(6 * PAGE)).toEqual({
      pass: 2,
      startedMs: 40,
      durationMs: 25,
      sentBytes: 2 * PAGE,
      normalPages: 2,
      duplicatePages: 0,
      dirtyBytes: 6 * PAGE,
    });
  });

  test('has no remaining bytes at the end, and mbps of the whole migration', () => {
    const { figures, meter } = make();
    meter.sent(10_000_000, PAGE);
    meter.complete(1000);
    expect(figures.read()).toMatchObject({ remainingBytes: 0, dirtyPagesRate: 0, mbps: 80 });
  });
});
