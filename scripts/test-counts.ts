// Adds up the test results of the steps of a CI run.

/** The members of vitest's JSON report that this script reads. */
export interface Report {
  testResults: {
    name: string;
    /** `failed` also for a file that could not be loaded; then it has no test results. */
    status: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
}

export interface Step {
  /** True if the step ended with an exit status other than 0. */
  failed: boolean;
  reports: readonly Report[];
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * Counts the tests. A test that ran in several steps counts once, with its worst result. A failed file without a failed test
 * counts as one failure. A failed step without failures in its reports (lint, types, a crash) also counts as one failure.
 */
export function countResults(steps: readonly Step[]): Counts {
  const results = new Map<string, string>();
  let brokenSteps = 0;
  for (const step of steps) {
    const own = step.reports.flatMap(resultsOf);
    for (const [key, status] of own) results.set(key, worseOf(results.get(key), status));
    if (step.failed && own.every(([, status]) => status !== 'failed')) brokenSteps += 1;
  }
  const statuses = [...results.values()];
  return {
    passed: statuses.filter((status) => status === 'passed').length,
    failed: statuses.filter((status) => status === 'failed').length + brokenSteps,
    skipped: statuses.filter((status) => status !== 'passed' && status !== 'failed').length,
  };
}

/** One status for each test, and one for each failed file without a failed test. */
function resultsOf(report: Report): [key: string, status: string][] {
  return report.testResults.flatMap(({ name, status: fileStatus, assertionResults }) => {
    const seen = new Map<string, number>();
    const results = assertionResults.map(({ fullName, status }): [string, string] => {
      const repeat = seen.get(fullName) ?? 0;
      seen.set(fullName, repeat + 1);
      return [`${name}\n${fullName}\n${repeat}`, status];
    });
    const isBroken = fileStatus === 'failed' && results.every(([, status]) => status !== 'failed');
    return isBroken ? [...results, [name, 'failed']] : results;
  });
}

function worseOf(first: string | undefined, second: string): string {
  if (first === 'failed' || second === 'failed') return 'failed';
  return first === 'passed' || second === 'passed' ? 'passed' : second;
}
