import { expect, test } from 'vitest';
import { PROGRESS_HEADING, type Progress, progressLine } from '../../../scripts/demo/progress.ts';

const FIRST: Progress = {
  status: 'active',
  pass: 1,
  'first-pass-percent': 77.9,
  verdict: { verdict: 'converging', reason: 'The first pass is under way.' },
  rate: 60_000_000,
  'dirty-rate': 0,
  remaining: 116 * 2 ** 20,
  'expected-downtime': 300.4,
  'downtime-limit': 300,
};

test('a line of the first pass shows its percentage', () => {
  expect(PROGRESS_HEADING).toBe('  time  pass       left       sent    dirtied         downtime  verdict');
  expect(progressLine(FIRST, 540)).toBe(' 0.5 s  1 (77%)    116M    60 MB/s     0 MB/s   ~300 of 300 ms  converging');
});

test('a line of a later pass shows its number, and the status after there is no verdict', () => {
  const line = progressLine({ ...FIRST, status: 'completed', pass: 25, verdict: null, remaining: 0 }, 7900);
  expect(line).toBe(' 7.9 s  25           0M    60 MB/s     0 MB/s   ~300 of 300 ms  completed');
});

test('a line with large figures fits into 80 columns', () => {
  const large = { ...FIRST, pass: 99_999, rate: 9e9, 'dirty-rate': 9e9, remaining: 64 * 2 ** 30 };
  expect(progressLine({ ...large, 'expected-downtime': 9999 }, 119_900).length).toBeLessThan(80);
});
