import { describe, expect, test, vi } from 'vitest';
import type { LiveParameters } from '../../../src/domain/settings/declared-settings.ts';
import { CpuThrottle, throttleFor } from '../../../src/engine/convergence/throttle-policy.ts';
import { VcpuControl } from '../../../src/engine/memory/vcpu-control.ts';
import { FigureBlock } from '../../../src/engine/shared/figures.ts';
import { liveParameterCells, liveParameters } from '../../helpers/live-parameters.ts';

/** At the default threshold of 50 percent: high from 501 dirty bytes on. */
const SENT = 1000;

/** The throttle after each of some periods in which `dirtyBytes` were dirtied. */
function throttleOf(dirtyBytes: readonly number[], change: Partial<LiveParameters> = {}): number[] {
  const policy = new CpuThrottle(liveParameterCells(change));
  return dirtyBytes.map((dirty) => policy.periodEnded({ dirtyBytes: dirty, sentBytes: SENT }));
}

const times = (count: number, value: number): number[] => new Array<number>(count).fill(value);

describe('the throttle of auto-converge', () => {
  test('starts at 20 and increases by 10 after every second period, as in QEMU', () => {
    expect(throttleOf(times(14, 5 * SENT))).toEqual([0, 20, 20, 30, 30, 40, 40, 50, 50, 60, 60, 70, 70, 80]);
  });

  test('increases by the same steps with tailslow while the guest dirties twice the threshold', () => {
    const dirty = times(14, SENT);
    expect(throttleOf(dirty, { 'cpu-throttle-tailslow': true })).toEqual(throttleOf(dirty));
  });

  test('increases by smaller steps with tailslow when the guest is near the threshold', () => {
    // 80 percent of the time are left; 500/520 of them would do: floor(76.9).
    expect(throttleOf(times(4, 520), { 'cpu-throttle-tailslow': true })).toEqual([0, 20, 20, 24]);
  });

  test('never exceeds max-cpu-throttle, including its first step', () => {
    const change = { 'cpu-throttle-initial': 60, 'cpu-throttle-increment': 30, 'max-cpu-throttle': 75 };
    expect(throttleOf(times(6, SENT), change)).toEqual([0, 60, 60, 75, 75, 75]);
    expect(throttleOf(times(2, SENT), { 'cpu-throttle-initial': 40, 'max-cpu-throttle': 30 })).toEqual([0, 30]);
  });

  test('is unchanged after a period at or below the threshold, which does not count', () => {
    expect(throttleOf([501, 500, 501, 0, 501, 501])).toEqual([0, 0, 20, 20, 20, 30]);
  });

  test('uses a configured threshold', () => {
    expect(throttleOf(times(2, 800), { 'throttle-trigger-threshold': 80 })).toEqual([0, 0]);
    expect(throttleOf(times(2, 801), { 'throttle-trigger-threshold': 80 })).toEqual([0, 20]);
  });

  test('uses parameters that change during the migration', () => {
    const live = liveParameterCells();
    const policy = new CpuThrottle(live);
    const next = () => policy.periodEnded({ dirtyBytes: SENT, sentBytes: SENT });
    expect([next(), next()]).toEqual([0, 20]);
    live.write(liveParameters({ 'cpu-throttle-increment': 35 }));
    expect([next(), next()]).toEqual([20, 55]);
  });

  test('is set for the vCPUs and shown in the figures, with a new revision at each change only', () => {
    const control = new VcpuControl();
    const figures = new FigureBlock();
    const limitVcpus = vi.fn();
    const parts = { live: liveParameterCells(), control, figures, limitVcpus };
    const autoConverge = throttleFor((capability) => capability === 'auto-converge', parts);
    if (autoConverge === null) throw new Error('there is no throttle');
    const period = { dirtyBytes: SENT, sentBytes: SENT };
    autoConverge.periodEnded(period);
    expect([control.throttlePercent, figures.read().cpuThrottlePercentage, figures.get('revision')]).toEqual([0, 0, 0]);
    autoConverge.periodEnded(period);
    autoConverge.periodEnded(period);
    expect([control.throttlePercent, figures.read().cpuThrottlePercentage, figures.get('revision')]).toEqual([
      20, 20, 1,
    ]);
    figures.end();
    expect(figures.read().cpuThrottlePercentage).toBe(0);
    expect(limitVcpus).not.toHaveBeenCalled();
  });
});

describe('the throttle of dirty-limit', () => {
  function dirtyLimit(change: Partial<LiveParameters> = {}) {
    const control = new VcpuControl();
    const limitVcpus = vi.fn();
    const parts = { live: liveParameterCells(change), control, figures: new FigureBlock(), limitVcpus };
    const throttle = throttleFor((capability) => capability === 'dirty-limit', parts);
    /** Requests for the limit after each of some periods. */
    const after = (dirtyBytes: readonly number[]): number[] =>
      dirtyBytes.map((dirty) => {
        throttle?.periodEnded({ dirtyBytes: dirty, sentBytes: SENT });
        return limitVcpus.mock.calls.length;
      });
    return { after, control };
  }

  test('requests the limit at every second period above the threshold, and stops no vCPU', () => {
    const { after, control } = dirtyLimit();
    expect(after([501, 500, 501, 501, 501])).toEqual([0, 0, 1, 1, 2]);
    expect(control.throttlePercent).toBe(0);
  });

  test('follows a threshold that is set', () => {
    expect(dirtyLimit({ 'throttle-trigger-threshold': 80 }).after([800, 800, 801, 801])).toEqual([0, 0, 0, 1]);
  });
});

test('a migration without a throttling capability has no throttle', () => {
  const parts = {
    live: liveParameterCells(),
    control: new VcpuControl(),
    figures: new FigureBlock(),
    limitVcpus: vi.fn(),
  };
  expect(throttleFor(() => false, parts)).toBeNull();
});
