import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect, test } from 'vitest';

const FILE = fileURLToPath(new URL('../../openapi/openapi.json', import.meta.url));

async function lint(source: string): Promise<readonly string[]> {
  const config = await createConfig({ extends: ['recommended'] });
  const problems = await lintFromString({ source, absoluteRef: FILE, config });
  return problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} (${location[0]?.pointer})`);
}

test('the OpenAPI document passes a linter without an error or a warning', async () => {
  expect(await lint(readFileSync(FILE, 'utf8'))).toEqual([]);
});

test('the linter sees a reference that leads nowhere', async () => {
  const broken = readFileSync(FILE, 'utf8').replaceAll('#/components/schemas/Problem"', '#/components/schemas/None"');
  expect((await lint(broken)).some((problem) => problem.startsWith('no-unresolved-refs'))).toBe(true);
});
