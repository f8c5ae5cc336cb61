// Prints the last line of .ci/run from the results of its steps. Each step has a directory with its exit status in the file
// `status` and with vitest's JSON reports.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { countResults, type Report, type Step } from './test-counts.ts';

function main(directory: string): number {
  const steps = readdirSync(directory).map((name) => readStep(join(directory, name)));
  const { passed, failed, skipped } = countResults(steps);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

function readStep(directory: string): Step {
  const textOf = (name: string) => readFileSync(join(directory, name), 'utf8');
  return {
    failed: textOf('status').trim() !== '0',
    reports: readdirSync(directory)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(textOf(name)) as Report),
  };
}

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error('usage: node scripts/ci-summary.ts DIRECTORY');
  process.exitCode = 2;
} else {
  process.exitCode = main(directory);
}
