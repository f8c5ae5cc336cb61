// At the default log level a service logged nothing when a migration or a job failed, when its guest panicked, or
// when a worker thread died. Outcomes were stored in the history only. The reason of a panic was in `GET /machine`
// only. `vmferry migrate --wait` ended with 0 after the migration of a panicked guest, because it checked the
// migration and not the guest.

import { describe, expect, test } from 'vitest';
import { createTransferEngine } from '../../src/engine/engine.ts';
import { settled } from '../domain/jobs/world.ts';
import { ask, listen } from '../helpers/app.ts';
import { runCommand } from '../helpers/client-here.ts';
import { LEVELS, type LoggedApp, loggedApp } from '../helpers/logged-app.ts';

const URI = 'tcp:127.0.0.1:1';
const FAULT = { code: 'peer_reset', message: 'The peer broke the connection.' } as const;

const linesOf = ({ log }: LoggedApp, member: string) => log.lines().filter((line) => member in line);

async function begin(app: LoggedApp, uri = URI): Promise<string> {
  return (await ask(app.app.server, '/migrate', { body: { uri } })).json.id as string;
}

describe('the log at level warn contains', () => {
  test.each(['here', 'there', 'unknown'] as const)('a failed migration whose guest is %s', async (guest) => {
    const app = await loggedApp('warn');
    const id = await begin(app);
    const transfer = app.engine.outgoing[0]!;
    transfer.step('active');
    transfer.step('failed');
    transfer.end({ status: 'failed', error: FAULT, guest });
    await settled();
    const reason = expect.stringContaining(FAULT.message);
    expect(linesOf(app, 'migration')).toMatchObject([
      { level: LEVELS.warn, migration: id, direction: 'outgoing', guest, code: 'peer_reset', reason },
    ]);
  });

  test('a failed incoming migration, and the end of the process that follows', async () => {
    let hasFailed: boolean | null = null;
    const app = await loggedApp('warn', {
      flags: ['--incoming', 'defer'],
      onExit: (failed) => {
        hasFailed = failed;
      },
    });
    const body = { uri: 'tcp:127.0.0.1:0', 'exit-on-error': true };
    const answer = ask(app.app.server, '/migrate/incoming', { body });
    await expect.poll(() => app.engine.incoming.length).toBe(1);
    app.engine.incoming[0]!.listen();
    const { id } = (await answer).json;
    app.engine.incoming[0]!.fail({ code: 'stream_truncated', message: 'The stream ends too early.' });
    await expect.poll(() => hasFailed).toBe(true);
    const why = { migration: id, code: 'stream_truncated', reason: 'The stream ends too early.' };
    expect(linesOf(app, 'migration')).toMatchObject([
      { level: LEVELS.warn, direction: 'incoming', guest: 'there', ...why },
      { level: LEVELS.error, ...why },
    ]);
  });

  test('a failed job, but no completed or cancelled job', async () => {
    const app = await loggedApp('warn');
    const save = (tag: string) => ask(app.app.server, '/snapshots', { body: { tag }, headers: { prefer: 'wait=20' } });
    await save('good');
    app.blocks.failures.set('save', { code: 'no_space', message: 'No space is left.' });
    const { id } = (await save('bad')).json;
    const line = { level: LEVELS.warn, job: id, type: 'snapshot-save', code: 'no_space', reason: 'No space is left.' };
    expect(linesOf(app, 'job')).toMatchObject([line]);
  });

  test.each([
    ['torn', 'guest-panicked'],
    ['vcpu-died', 'internal-error'],
  ])('a panic of kind %s at level error, which the event, readiness and the client also name', async (kind, state) => {
    const app = await loggedApp('warn');
    const { server } = app.app;
    app.machine.panic(kind);
    expect(linesOf(app, 'kind')).toMatchObject([
      { level: LEVELS.error, kind, address: 4096, detail: 'a page is torn' },
    ]);
    const [event] = app.app.domain.events.since(0, 10);
    if (kind === 'torn') expect(event).toMatchObject({ name: 'GUEST_PANICKED', data: { panic: { kind } } });
    const ready = await ask(server, '/readyz');
    expect([ready.status, ready.json]).toMatchObject([
      200,
      { ready: true, checks: { guest: `${state}: ${kind}: a page is torn` } },
    ]);
    const url = `http://127.0.0.1:${await listen(server)}`;
    const checked = await runCommand(url, ['status', '--check']);
    expect([checked.status, checked.errors]).toEqual([
      1,
      `vmferry: status: the guest panicked (${kind}): a page is torn\n`,
    ]);
  });
});

test('a worker that dies is reported once, even after a cancel', async () => {
  const reports: unknown[] = [];
  const workerUrl = new URL(`data:text/javascript,${encodeURIComponent('throw new Error("dead")')}`);
  const engine = createTransferEngine({ workerUrl, report: (error) => reports.push(error) });
  const app = await loggedApp('warn', { engine });
  const reply = await ask(app.app.server, '/migrate', { body: { uri: URI }, headers: { prefer: 'wait=20' } });
  expect(reply.json).toMatchObject({ status: 'failed', error: { code: 'engine_crashed' } });
  expect(reports).toMatchObject([{ name: 'WorkerDeath', worker: 'transfer', code: 'engine_crashed' }]);
});

test('the log at level info contains the start and the end of every migration and job', async () => {
  const app = await loggedApp('info');
  await ask(app.app.server, '/snapshots', { body: { tag: 'one' }, headers: { prefer: 'wait=20' } });
  const whole = linesOf(app, 'job').map(({ level, msg }) => [level, msg]);
  expect(whole).toEqual([
    [LEVELS.info, 'a job began'],
    [LEVELS.info, 'a job completed'],
  ]);
  const id = await begin(app);
  app.engine.outgoing[0]!.step('active');
  const cancelled = ask(app.app.server, '/migrate/cancel', { method: 'POST' });
  await expect.poll(() => app.engine.outgoing[0]!.status.read()).toBe('cancelling');
  app.engine.outgoing[0]!.letGo();
  await cancelled;
  await settled();
  const second = await begin(app, 'file:state');
  for (const status of ['active', 'device'] as const) app.engine.outgoing[1]!.step(status);
  app.engine.outgoing[1]!.finish('completed');
  await settled();
  expect(linesOf(app, 'migration')).toMatchObject([
    { level: LEVELS.info, msg: 'a migration began', migration: id, uri: URI },
    { level: LEVELS.info, msg: 'a migration was cancelled', migration: id, guest: 'here' },
    { level: LEVELS.info, msg: 'a migration began', migration: second, uri: 'file:state' },
    { level: LEVELS.info, msg: 'a migration completed', migration: second, guest: 'there' },
  ]);
});
