import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/commands/table.ts';
import type { JsonSchema } from '../../src/commands/validate.ts';

/*
 * test/fixtures/qapi/commands.json holds what QEMU 10.0 says of these commands through query-qmp-schema, with types
 * written out: a member's name ends in ? where it is optional, [T] is an array, enum lists the values.
 */
const FIXTURE = new URL('../fixtures/qapi/commands.json', import.meta.url);
const qapi = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Record<string, { arguments: unknown; result: unknown }>;

/** A schema of the table in the fixture's notation. */
function notation(schema: JsonSchema): unknown {
  if (schema.anyOf !== undefined) return { anyOf: schema.anyOf.map(notation) };
  if (schema.const !== undefined) return { enum: [schema.const] };
  if (schema.enum !== undefined) return { enum: schema.enum };
  if (schema.type === 'array') return [notation(schema.items ?? {})];
  if (schema.type !== 'object') return schema.type;
  const required = new Set(schema.required ?? []);
  const members = Object.entries(schema.properties ?? {});
  return Object.fromEntries(
    members.map(([name, member]) => [required.has(name) ? name : `${name}?`, notation(member)]),
  );
}

const commands = [...COMMANDS.values()];

describe('the command table', () => {
  test('commands of QAPI and only they are said to be so', () => {
    expect(
      commands
        .filter(({ qapi: own }) => own !== null)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(Object.keys(qapi).sort());
    for (const { name, qapi: own } of commands) expect(name.startsWith('x-ferry-')).toBe(own === null);
  });

  test.each(Object.keys(qapi))('the arguments of %s are those of QEMU 10.0, member for member', (name) => {
    expect(notation(COMMANDS.get(name)?.arguments as JsonSchema)).toEqual(qapi[name]?.arguments);
  });

  test.each(Object.keys(qapi).filter((name) => name.startsWith('query-')))(
    'the result of %s is that of QEMU 10.0, member for member',
    (name) => {
      expect(notation(COMMANDS.get(name)?.result as JsonSchema)).toEqual(qapi[name]?.result);
    },
  );
});
