import { describe, expect, test } from 'vitest';
import type { Command, CommandContext } from '../../src/commands/command.ts';
import { COMMANDS } from '../../src/commands/command-table.ts';
import { ARGUMENTS_LENGTH_MAX, argumentsText, execute } from '../../src/commands/execute.ts';
import { parseJson } from '../../src/text/json.ts';
import { type FakeWorld, fakeDomain } from '../domain/fakes/fake-domain.ts';
import { openMemoryStore } from '../helpers/memory-store.ts';

const CALLER = { door: 'qmp', name: 'unix', address: null, requestId: null } as const;
const SAVE = { 'job-id': 'a', tag: 'one', vmstate: 'disk0', devices: ['disk0'] };

function entry(name: string): Command {
  return COMMANDS.get(name)!;
}

async function call(world: FakeWorld, name: string, given: unknown = {}, context: CommandContext = {}) {
  return await execute(entry(name), { domain: world.domain, arguments: given, context }).catch(
    (error: { code?: string }) => error.code,
  );
}

function trail({ domain }: FakeWorld) {
  return domain.audit.list({ limit: 100, cursor: null }).items;
}

describe('the audit trail', () => {
  test('records the caller, the command, the time and the outcome, through every door', async () => {
    const world = fakeDomain();
    await call(world, 'stop', {}, { role: 'operator', caller: CALLER });
    await call(world, 'migrate', { uri: 'nonsense:' }, { caller: CALLER });
    expect(trail(world)).toEqual([
      expect.objectContaining({
        ...CALLER,
        command: 'migrate',
        arguments: '{"uri":"nonsense:"}',
        outcome: 'failed',
        errorCode: 'invalid_address',
      }),
      expect.objectContaining({
        ...CALLER,
        command: 'stop',
        at: world.time.now(),
        outcome: 'succeeded',
        errorCode: null,
        durationMs: 0,
      }),
    ]);
  });

  test('has the row of a command before other requests get their turn', async () => {
    const world = fakeDomain();
    const seen: unknown[] = [];
    const nextTurn = async () => void seen.push(trail(world)[0]?.command, world.domain.jobs.list().length);
    await call(world, 'snapshot-save', SAVE, { caller: CALLER, yieldToOthers: nextTurn });
    await call(world, 'stop', {}, { caller: CALLER, yieldToOthers: nextTurn });
    expect([seen, world.domain.jobs.list().length]).toEqual([['snapshot-save', 0], 1]);
  });

  test('has no rows for queries, including the query of the trail itself', async () => {
    const world = fakeDomain();
    await call(world, 'query-migrate');
    await call(world, 'x-ferry-query-audit');
    expect(trail(world)).toEqual([]);
  });

  test.each([...COMMANDS.values()].filter(({ role }) => role === 'operator').map(({ name }) => name))(
    'a viewer is refused %s, and the refusal is recorded',
    async (name) => {
      const world = fakeDomain();
      expect(await call(world, name, { nonsense: 1 }, { role: 'viewer' })).toBe('not_allowed');
      expect(trail(world)).toMatchObject([{ command: name, outcome: 'refused', errorCode: 'not_allowed' }]);
    },
  );

  test('every command that changes something requires the role operator', () => {
    const looks = [...COMMANDS.values()].filter(({ role }) => role === 'viewer').map(({ name }) => name);
    expect(looks.filter((name) => !/(^|-)(query|qmp_capabilities)(-|$)/.test(name))).toEqual([]);
  });

  test('a command that an earlier process did not complete has the outcome unknown', async () => {
    const store = openMemoryStore();
    const first = fakeDomain({ store });
    first.domain.audit.begin({ ...CALLER, command: 'stop', arguments: '{}' });
    expect(trail(fakeDomain({ store }))).toMatchObject([{ outcome: 'unknown', durationMs: null }]);
    store.close();
  });

  test('a database that accepts no rows does not prevent commands', async () => {
    const store = openMemoryStore();
    const fails = () => {
      throw new Error('disk full');
    };
    const world = fakeDomain({ store: { ...store, audit: { ...store.audit, add: fails, end: fails } } });
    expect(await call(world, 'stop')).toEqual({ running: false, status: 'paused' });
    expect(world.faults).toHaveLength(1);
    store.close();
  });
});

describe('arguments in the audit trail', () => {
  test('are exact, and secrets are omitted at any depth', () => {
    const given = parseJson('{"a":18446744073709551615,"tls":{"Password":"p"},"l":[{"auth-token":"t","b":1.5}]}');
    expect(argumentsText(given)).toBe(
      '{"a":18446744073709551615,"tls":{"Password":"(not kept)"},"l":[{"auth-token":"(not kept)","b":1.5}]}',
    );
  });

  test('are cut if they are long', () => {
    const text = argumentsText({ uri: 'x'.repeat(100_000) });
    expect([text.length, text.at(-1)]).toEqual([ARGUMENTS_LENGTH_MAX, '…']);
  });

  test.each([undefined, null, [1], 'text', 7])('of any shape have a text: %j', (given) => {
    expect(argumentsText(given)).toBe(given === undefined ? '{}' : JSON.stringify(given));
  });
});
