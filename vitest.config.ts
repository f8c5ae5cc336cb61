import { defineConfig } from 'vitest/config';

// Set by .ci/run: every run writes a JSON report into this directory. The last line of .ci/run is computed from the reports.
const reportDirectory = process.env.TEST_REPORTS;

const SOAK = 'test/soak/**/*.test.ts';
const INTEGRATION = 'test/integration/**/*.test.ts';
/** Integration tests that measure rates, deadlines or races. */
const TIMED = ['auto-converge', 'engine-crash', 'faults', 'link', 'migration'].map(
  (name) => `test/integration/${name}.test.ts`,
);
/** Tests of fixed faults that measure rates, deadlines or races. */
const TIMED_ISSUES = 'test/issues/**/*.timed.test.ts';
/** Tests of the package, the documentation and the demo as a user runs them. Each takes minutes to install, start and wait. */
const PRODUCT = [
  'cli/completion',
  'integration/ci-documentation',
  'integration/generated-client',
  'integration/package',
  'issues/11-09-prometheus',
  'readme',
  'readme-followed',
  'routes/openapi-lint',
  'scripts/demo',
].map((name) => `test/${name}.test.ts`);
/** Files with more combinations than `npm test` runs; see test/helpers/combinations.ts. The soak run has them all. */
const MATRICES = [
  'app/app',
  'app/main',
  'block/adversary/crowd',
  'block/adversary/power-loss',
  'block/qcow2/compact',
  'block/qcow2/disk',
  'block/qcow2/faults',
  'block/qcow2/snapshots',
  'engine/snapshot/crash',
  'engine/snapshot/damage',
  'engine/snapshot/save-and-load',
  'integration/auto-converge',
  'integration/crash',
  'integration/drain',
  'integration/exec',
  'integration/file',
  'integration/guest-check',
  'integration/hmp-qemu',
  'integration/leaks',
  'integration/migration',
  'integration/qemu-migration',
  'integration/qemu-referee',
  'integration/snapshot-compact',
  'integration/snapshot-damage',
  'integration/snapshot-qemu',
  'integration/snapshot-races',
  'integration/snapshot-requests',
  'integration/snapshot-storage',
  'issues/11-01-shared-disk',
  'issues/11-01-shared-disk-qemu',
  'issues/11-02-no-dead-end',
  'issues/11-04-shared-id',
  'issues/11-07-killed-job-duration',
  'issues/11-17-inherited-descriptors',
  'issues/11-23-fdsets',
  'issues/11-24-uuid',
  'issues/11-27-guest-owner',
  'issues/11-27-qemu-return-path',
  'issues/11-33-stray-connections',
  'issues/11-38-collapsing-link.timed',
  'issues/11-faults-49-crash-points',
  'kernels/migration-decode',
  'kernels/migration-log',
  'machine/synthetic/dirty',
  'machine/synthetic/disk-load',
  'machine/synthetic/disk-program',
  'machine/synthetic/load',
  'machine/synthetic/self-check',
  'machine/synthetic/synthetic-machine',
  'routes/auth',
  'routes/documentation',
  'routes/snapshots',
].map((name) => `test/${name}.test.ts`);
const TIDY = 'test/tidy/**/*.test.ts';

export default defineConfig({
  test: {
    environment: 'node',
    // Tests start worker threads and child processes. Test files therefore run in processes of their own, apart from vitest's.
    pool: 'forks',
    provide: { hasAllCombinations: false },
    setupFiles: ['test/setup/leaked-workers.ts', 'test/setup/built-workers.ts'],
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Timeout of polls that give none. Vitest's default of one second is too short on a busy machine.
    expect: { poll: { timeout: 20_000 } },
    reporters:
      reportDirectory === undefined
        ? ['default']
        : ['default', ['json', { outputFile: `${reportDirectory}/vitest-${process.pid}.json` }]],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [SOAK, INTEGRATION, TIDY, TIMED_ISSUES, ...PRODUCT],
          // Starting a process and loading the code for each file would take a large part of the time of these tests.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'tidy', include: [TIDY], sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: [INTEGRATION],
          exclude: [...TIMED, ...PRODUCT],
          isolate: false,
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'product', include: PRODUCT, testTimeout: 60_000, sequence: { groupOrder: 0 } },
      },
      {
        // These tests measure time, so one file runs at a time and nothing else runs.
        extends: true,
        test: {
          name: 'timed',
          include: [...TIMED, TIMED_ISSUES],
          isolate: false,
          testTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'soak',
          include: [SOAK, ...MATRICES],
          provide: { hasAllCombinations: true },
          testTimeout: 30 * 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
