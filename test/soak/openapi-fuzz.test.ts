import { expect, test } from 'vitest';
import { fakeApp, startApp, testConfig } from '../helpers/app.ts';
import { fuzz, fuzzService } from '../helpers/fuzzed-app.ts';

test.each([1, 2, 3, 4, 5])('20 000 random requests from the document get documented answers, seed %i', async (seed) => {
  const app = await fakeApp();
  const { statuses } = await fuzz(app, { count: 20_000, seed });
  expect(statuses.size).toBeGreaterThan(8);
});

const SMALL = ['--ram', '16M', '--workload', 'rate=1M,span=1M'];

test.each([
  [[], 11],
  [['--incoming', 'defer', '--dirty-ring-size', '1024'], 12],
  [['--machine', 'image'], 13],
  [['--dirty-ring-size', '1024', '--only-migratable'], 14],
] as const)(
  '5 000 random requests to a complete service with %j get documented answers, seed %i',
  async (flags, seed) => {
    const statuses = await fuzzService(await startApp(testConfig([...SMALL, ...flags])), { count: 5000, seed });
    expect(statuses.size).toBeGreaterThan(8);
  },
);
