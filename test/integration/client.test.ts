// The command-line client against complete services: migration, cancel, QMP and HMP, tokens. A client that is
// interrupted is a separate process.

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory, tokenFile } from '../helpers/app.ts';
import { listeningService, runCommand as run } from '../helpers/client-here.ts';
import { startCommand } from '../helpers/client-process.ts';
import { shared } from '../helpers/shared.ts';

const GUEST = ['--ram', '32M', '--workload', 'rate=1M,span=4M'];

function service(...flags: string[]): Promise<string> {
  return listeningService([...GUEST, ...flags]);
}

function linesOf(text: string): Readonly<Record<string, unknown>>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}

describe('the client of a complete service', () => {
  test('sets parameters, migrates, is interrupted, migrates again, and follows the events', async () => {
    const socket = `unix:${join(temporaryDirectory(), 'socket')}`;
    const [source, target] = await Promise.all([service(), service('--incoming', socket)]);
    expect((await run(source, ['enable', 'events', 'return-path'])).output).toBe('events: on\nreturn-path: on\n');
    expect((await run(target, ['enable', 'return-path'])).status).toBe(0);
    expect((await run(source, ['set', 'max-bandwidth=1M'])).output).toBe('max-bandwidth=1048576\n');

    const slow = startCommand(source, ['migrate', socket, '--wait']);
    await expect.poll(slow.errors).toContain(': active, ');
    slow.child.kill('SIGINT');
    expect(await slow.ended).toEqual([130, null]);
    expect(slow.errors()).toMatch(/\nvmferry: migrating to unix:.*: interrupted: cancelled; the guest is here\n$/);
    const { output: status } = await run(source, ['status']);
    expect(status).toContain('\nstate      running (running)\n');
    expect(status).toContain('\nmigration  cancelled');

    const again = { execute: 'migrate-incoming', arguments: { uri: socket } };
    expect(await run(target, ['qmp', '-'], { input: JSON.stringify(again) })).toMatchObject({ status: 0 });
    await run(source, ['set', 'max-bandwidth=0']);
    const moved = await run(source, ['migrate', socket, '--wait', '--json']);
    expect(moved.status).toBe(0);
    const said = linesOf(moved.output);
    expect(said.at(-1)).toMatchObject({ type: 'result', outcome: 'completed', migration: { guest: 'there' } });
    expect(said).toContainEqual(
      expect.objectContaining({ event: 'MIGRATION', data: { status: 'setup', id: expect.any(String) } }),
    );
    expect((await run(target, ['monitor'], { input: 'info status\n' })).output).toBe('VM status: running\n');

    const events = startCommand(source, ['events', '--since', '0', '--json']);
    await expect.poll(events.output).toContain('"completed"');
    events.child.kill('SIGINT');
    expect(await events.ended).toEqual([130, null]);
    const statuses = linesOf(events.output()).filter(({ event }) => event === 'MIGRATION');
    expect(statuses.map(({ data }) => (data as { status: string }).status)).toEqual(
      expect.arrayContaining(['setup', 'active', 'cancelling', 'cancelled', 'device', 'completed']),
    );
    expect((await run(source, ['cancel', '--json'])).output).toBe('{"outcome":"already-completed"}\n');
  });
});

describe('the client of a service with tokens', () => {
  const [viewer, operator] = ['v'.repeat(32), 'o'.repeat(32)];
  const url = shared(() =>
    service('--paused', '--token-file', tokenFile([`${viewer} viewer`, `${operator} operator`])),
  );
  const asOperator = (words: readonly string[], input = '') => run(url(), words, { input, token: operator });

  test('keeps integers exact over QMP and HMP, and has their errors in its status', async () => {
    const most = 2n ** 64n - 1n;
    expect((await asOperator(['set', `max-bandwidth=${most}`])).output).toBe(`max-bandwidth=${most}\n`);
    expect((await asOperator(['qmp', 'query-migrate-parameters', '--json'])).output).toContain(
      `"max-bandwidth":${most}`,
    );
    const refused = await asOperator(['qmp', '{"execute":"no-such","id":7}', '--json']);
    expect([refused.status, linesOf(refused.output)]).toEqual([
      4,
      [{ error: { class: 'CommandNotFound', desc: expect.any(String) }, id: 7 }],
    ]);
    const input = 'info migrate_parameters\nmigrate_set_parameter downtime-limit -1\ninfo status\n';
    const { status, output } = await asOperator(['monitor'], input);
    expect(status).toBe(4);
    expect(output).toContain(`max-bandwidth: ${most} bytes/second\n`);
    expect(output).toMatch(/\nError: .*\nVM status: paused.*\n$/);
  });

  test('lists jobs and controls them', async () => {
    expect((await asOperator(['snapshot', 'save', 'warm', '--job-id', 'j', '-q'])).status).toBe(0);
    expect((await asOperator(['jobs'])).output).toMatch(/\nj +snapshot-save +concluded +completed +100 % /);
    expect(await asOperator(['jobs', 'pause', 'j'])).toMatchObject({
      status: 4,
      errors: expect.stringContaining('job_verb_not_allowed'),
    });
    expect((await asOperator(['jobs', 'dismiss', 'j'])).status).toBe(0);
    expect((await asOperator(['jobs', '-q'])).output).toBe('');
    expect((await asOperator(['jobs', '--history', '-q'])).output).toBe('j\n');
  });

  test('sends a token, and can do what its role allows', async () => {
    const mine = tokenFile([operator]);
    expect(await run(url(), ['status'])).toMatchObject({ status: 4, errors: expect.stringContaining('refused (401 ') });
    expect((await run(url(), ['status'], { token: viewer })).status).toBe(0);
    const set = ['set', 'downtime-limit=50'];
    expect(await run(url(), set, { token: viewer })).toMatchObject({
      status: 4,
      errors: expect.stringContaining('refused (403 not_allowed)'),
    });
    expect((await run(url(), [...set, '--token-file', mine], { token: viewer })).output).toBe('downtime-limit=50\n');
  });
});
