import { expect, test } from 'vitest';
import { countResults, type Report } from '../../scripts/test-counts.ts';

function report(name: string, statuses: Record<string, string>, fileStatus = 'passed'): Report {
  const assertionResults = Object.entries(statuses).map(([fullName, status]) => ({ fullName, status }));
  return { testResults: [{ name, status: fileStatus, assertionResults }] };
}

test('the results of several runs are added up', () => {
  const reports = [
    report('a.test.ts', { x: 'passed', y: 'failed' }, 'failed'),
    report('b.test.ts', { x: 'pending', y: 'todo' }),
  ];
  expect(countResults([{ failed: true, reports }])).toEqual({ passed: 1, failed: 1, skipped: 2 });
});

test('a test that ran in two steps counts once, and failed if it failed once', () => {
  const first = { failed: true, reports: [report('a.test.ts', { x: 'passed', y: 'failed' }, 'failed')] };
  const second = { failed: false, reports: [report('a.test.ts', { x: 'passed', y: 'passed' })] };
  expect(countResults([first, second])).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(countResults([second, first])).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('two tests of one name in one file count twice', () => {
  const twice = { fullName: 'x', status: 'passed' };
  const reports = [{ testResults: [{ name: 'a.test.ts', status: 'passed', assertionResults: [twice, twice] }] }];
  expect(countResults([{ failed: false, reports }])).toEqual({ passed: 2, failed: 0, skipped: 0 });
});

test('a file that could not be loaded is one failure', () => {
  const reports = [report('a.test.ts', {}, 'failed'), report('b.test.ts', { x: 'passed' })];
  expect(countResults([{ failed: true, reports }])).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('a failed step without a failed test is one additional failure', () => {
  const lint = { failed: true, reports: [] };
  const passing = { failed: true, reports: [report('a.test.ts', { x: 'passed' })] };
  const failing = { failed: true, reports: [report('a.test.ts', { x: 'passed', y: 'failed' }, 'failed')] };
  expect(countResults([lint, failing])).toEqual({ passed: 1, failed: 2, skipped: 0 });
  expect(countResults([lint, passing])).toEqual({ passed: 1, failed: 2, skipped: 0 });
  expect(countResults([lint])).toEqual({ passed: 0, failed: 1, skipped: 0 });
});
