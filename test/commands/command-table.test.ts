import { expect, test } from 'vitest';
import { COMMANDS, FIRST_COMMANDS } from '../../src/commands/command-table.ts';
import { introspect } from '../../src/commands/introspection.ts';

test('query-commands lists the commands of the first version first, in the order of that version', () => {
  expect(new Set(FIRST_COMMANDS).size).toBe(89);
  expect([...COMMANDS.keys()].slice(0, FIRST_COMMANDS.length)).toEqual(FIRST_COMMANDS);
  expect(FIRST_COMMANDS[0]).toBe('migrate');
  expect(FIRST_COMMANDS.at(-1)).toBe('query-qmp-schema');
});

test('commands that were added after the first version are listed after its commands', () => {
  const later = [...COMMANDS.keys()].slice(FIRST_COMMANDS.length);
  expect(later).toEqual(expect.arrayContaining(['add-fd', 'query-balloon', 'x-ferry-snapshot-compact']));
  expect(later.filter((name) => FIRST_COMMANDS.includes(name))).toEqual([]);
});

test('commands that were added after the first version change no entity and no type number of query-qmp-schema', () => {
  const all = [...COMMANDS.values()];
  const first = all.slice(0, FIRST_COMMANDS.length);
  const before = introspect(first, []);
  const now = introspect(first, all.slice(FIRST_COMMANDS.length));
  const added = new Set(all.slice(FIRST_COMMANDS.length).map(({ name }) => name));
  expect(now.filter(({ name }) => !added.has(name)).slice(0, before.length)).toEqual(before);
});
