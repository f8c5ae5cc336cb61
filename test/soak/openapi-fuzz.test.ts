import { expect, test } from 'vitest';
import { fakeApp } from '../helpers/app.ts';
import { fuzz } from '../helpers/fuzzed-app.ts';

test.each([1, 2, 3, 4, 5])('20 000 requests made up from the document, seed %i', async (seed) => {
  const app = await fakeApp();
  const { statuses } = await fuzz(app, { count: 20_000, seed });
  expect(statuses.size).toBeGreaterThan(8);
});
