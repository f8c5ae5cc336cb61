// The OpenAPI document repeated every error response in every operation: 380 of its 511 kB were the same texts.
// Integers, times and ids had no format, parameters had no range, and half of the JSON bodies had no name, so
// generators invented names. Operation ids followed no rule, and query parameters had examples of the wrong type.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PARAMETERS } from '../../src/domain/settings/declared-settings.ts';
import { OPERATIONS } from '../../src/routes/route-table.ts';

type Json = { readonly [name: string]: Json };
type Named = readonly (readonly [name: string, operation: Json])[];

const TEXT = readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8');
const DOCUMENT = JSON.parse(TEXT) as Json;
const SCHEMAS = DOCUMENT.components?.schemas as Json;
const ALL: Named = Object.values(DOCUMENT.paths as Json).flatMap((methods) =>
  Object.values(methods).map((operation) => [String(operation.operationId), operation] as const),
);

test('every error response is a reference to the shared response of its status', () => {
  const repeated = ALL.flatMap(([id, { responses = {} }]) =>
    Object.entries(responses)
      .filter(([, response]) => JSON.stringify(response).includes('#/components/schemas/Problem'))
      .map(([status]) => `${id} ${status}`),
  );
  expect(repeated).toEqual([]);
});

test('the description of an error response names only the codes of the operation', () => {
  const [, cancel = {}] = ALL.find(([id]) => id === 'jobCancel') ?? [];
  expect(cancel.responses?.['404']).toEqual({
    $ref: '#/components/responses/NotFound',
    description: expect.stringMatching(/^`job_not_found`: /),
  });
});

test('an operation id is the name of its command in camel case, or begins with a verb if there is no command', () => {
  const camelCase = (name: string): string => name.replaceAll(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());
  const others = OPERATIONS.filter(
    ({ id, command }) =>
      id !== (command === null ? null : camelCase(command.name.replace(/^x-(?:ferry-)?/, ''))) &&
      !(command === null && /^(?:get|run|complete|explain|follow)[A-Z]/.test(id)),
  );
  expect(others.map(({ id }) => id)).toEqual([]);
});

test('every JSON object in a request or an answer has a name', () => {
  const unnamed = ALL.flatMap(([id, { requestBody, responses = {} }]) => {
    const bodies = [requestBody, ...Object.entries(responses).map(([status, reply]) => (status < '300' ? reply : {}))];
    return bodies
      .map((body) => body?.content?.['application/json']?.schema)
      .filter((schema) => String(schema?.type) === 'object')
      .map(() => id);
  });
  expect(unnamed).toEqual([]);
});

test('integers, times and identifiers have a format', () => {
  expect(SCHEMAS.MigrationStats?.properties?.transferred?.format).toBe('int64');
  expect(SCHEMAS.Migration?.properties?.id?.format).toBe('uuid');
  const times = Object.values(SCHEMAS).flatMap(({ properties = {} }) =>
    Object.entries(properties).filter(([name]) => name.endsWith('-at')),
  );
  expect(times.length).toBeGreaterThan(5);
  for (const [name, schema] of times) expect(JSON.stringify(schema), name).toContain('"format":"date-time"');
});

test('every numeric parameter shows its default and its range with exact limits', () => {
  const shown = SCHEMAS.MigrationParameters?.properties as Json;
  const changed = SCHEMAS.MigrateSetParameters?.properties as Json;
  for (const [name, definition] of Object.entries(PARAMETERS)) {
    if (!('min' in definition)) continue;
    const { minimum, maximum, default: initial } = shown[name] as unknown as Record<string, number | undefined>;
    expect([minimum, initial], name).toEqual([Number(definition.min), definition.default]);
    // An omitted member of a change keeps its value.
    expect(changed[name], name).toMatchObject({ minimum });
    expect(changed[name], name).not.toHaveProperty('default');
    const isExact = definition.max <= BigInt(Number.MAX_SAFE_INTEGER);
    expect(maximum, name).toBe(isExact ? Number(definition.max) : undefined);
  }
});

test('an operation requires a token only if the service does', () => {
  const open = ALL.filter(([, { security }]) => (security as unknown as readonly unknown[]).length === 0);
  expect(open.map(([id]) => id)).toContain('getHealth');
  expect(open.map(([id]) => id)).not.toContain('queryMigrate');
  expect(DOCUMENT.security).toBeUndefined();
});

test('the document begins with an introduction', () => {
  expect(String(DOCUMENT.info?.description)).toContain('POST /migrate');
});
