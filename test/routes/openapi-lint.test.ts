import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import spectral, { type IRuleResult, type RulesetDefinition } from '@stoplight/spectral-core';
import { Json } from '@stoplight/spectral-parsers';
import { oas } from '@stoplight/spectral-rulesets';
import { expect, test } from 'vitest';

const FILE = fileURLToPath(new URL('../../openapi/openapi.json', import.meta.url));

async function lint(source: string): Promise<readonly string[]> {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const problems = await lintFromString({ source, absoluteRef: FILE, config });
  return problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} (${location[0]?.pointer})`);
}

test('the OpenAPI document passes the strict rules of Redocly without an error or a warning', async () => {
  expect(await lint(readFileSync(FILE, 'utf8'))).toEqual([]);
});

test('Redocly reports an unresolved reference', async () => {
  const broken = readFileSync(FILE, 'utf8').replaceAll('#/components/schemas/Problem"', '#/components/schemas/None"');
  expect((await lint(broken)).some((problem) => problem.startsWith('no-unresolved-refs'))).toBe(true);
});

async function spectralResults(source: string): Promise<readonly string[]> {
  const linter = new spectral.Spectral();
  // The types of the two packages disagree on whether a rule set must extend another.
  linter.setRuleset({ extends: [oas as unknown as RulesetDefinition] });
  const results = await linter.run(new spectral.Document(source, Json, FILE));
  return results.map(({ code, message, path }: IRuleResult) => `${code}: ${message} (${path.join('.')})`);
}

test('the OpenAPI document passes the rules of Spectral without an error or a warning', async () => {
  expect(await spectralResults(readFileSync(FILE, 'utf8'))).toEqual([]);
});

test('Spectral reports an example of the wrong type', async () => {
  const parameter = { name: 'limit', in: 'query', schema: { type: 'integer' }, example: '10' };
  const get = { operationId: 'list', parameters: [parameter], responses: {} };
  const document = { openapi: '3.1.0', info: { title: 'a', version: '1' }, paths: { '/list': { get } } };
  const results = await spectralResults(JSON.stringify(document));
  expect(results.some((result) => result.startsWith('oas3-valid-media-example'))).toBe(true);
});
