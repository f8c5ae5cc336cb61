import { describe, expect, it } from 'vitest';
import { conclude, type Facts } from '../../../scripts/demo/conclusion.ts';

const GOOD: Facts = {
  status: 'completed',
  error: null,
  totalMs: 7900,
  downtimeMs: 18,
  downtimeLimitMs: 300,
  passes: 25,
  ramPages: 1000,
  sourceState: 'postmigrate',
  targetState: 'running',
  before: { ticks: 83, 'pages-checked': 500, panic: null },
  after: { ticks: 85, 'pages-checked': 1500, panic: null },
  consoleTicks: [82, 83, 84, 85],
};

describe('the conclusion of the demo', () => {
  it('reports a success in words', () => {
    expect(conclude(GOOD)).toEqual({
      isWell: true,
      lines: [
        '✓ the migration completed in 7.9 s, in 25 passes',
        '✓ the guest was stopped for 18 ms; downtime-limit is 300 ms',
        '✓ the source is postmigrate, the target is running',
        '✓ it left the source at tick 83 and has reached tick 85; its console shows no gap',
        '✓ it has checked 1000 pages at the target; its RAM has 1000',
        '✓ no page was lost, torn, stale or misplaced',
        '',
        'Everything is correct.',
      ],
    });
  });

  const panic = { kind: 'stale', detail: 'page 7' };
  const bad: [string, Partial<Facts>, string][] = [
    ['a downtime above the limit', { downtimeMs: 301 }, '301 ms'],
    ['a source that still runs', { sourceState: 'running' }, 'the source is running'],
    ['a target that is stopped', { targetState: 'paused' }, 'the target is paused'],
    ['a guest that does not tick', { after: { ...GOOD.after, ticks: 83 } }, 'reached tick 83'],
    ['a missing tick', { consoleTicks: [82, 83, 85] }, 'shows a gap'],
    ['a repeated tick', { consoleTicks: [83, 84, 84, 85] }, 'shows a gap'],
    ['unchecked pages', { after: { ...GOOD.after, 'pages-checked': 1499 } }, 'checked 999'],
    ['a panic at the target', { after: { ...GOOD.after, panic } }, 'panicked: stale: page 7'],
    ['a panic at the source', { before: { ...GOOD.before, panic } }, 'panicked: stale: page 7'],
  ];
  it.each(bad)('reports %s as a failure', (_, change, text) => {
    const { isWell, lines } = conclude({ ...GOOD, ...change });
    expect(isWell).toBe(false);
    expect(lines.filter((line) => line.startsWith('✗')).join('\n')).toContain(text);
    expect(lines.at(-1)).toContain('Not everything is correct');
  });

  it('reports why a migration failed', () => {
    const { isWell, lines } = conclude({ ...GOOD, status: 'failed', error: 'the peer is gone' });
    expect(isWell).toBe(false);
    expect(lines).toEqual(['✗ the migration ended failed: the peer is gone']);
  });
});
