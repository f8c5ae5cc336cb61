import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchHeartbeat } from '../../../src/engine/session/watchdog.ts';
import { FigureBlock } from '../../../src/engine/shared/figures.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a heart that stands still for the limit is noticed once', () => {
  const onHang = vi.fn();
  watchHeartbeat(new FigureBlock(), 1000, onHang);
  vi.advanceTimersByTime(1100);
  expect(onHang).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5000);
  expect(onHang).toHaveBeenCalledTimes(1);
});

test('a heart that beats now and then is left alone', () => {
  const figures = new FigureBlock();
  const onHang = vi.fn();
  const end = watchHeartbeat(figures, 1000, onHang);
  for (let beat = 0; beat < 20; beat += 1) {
    figures.add('heartbeat', 1);
    vi.advanceTimersByTime(900);
  }
  expect(onHang).not.toHaveBeenCalled();
  end();
  vi.advanceTimersByTime(5000);
  expect(onHang).not.toHaveBeenCalled();
});
