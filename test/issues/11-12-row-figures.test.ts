// A row of the history had no size, total time or downtime. A table of migrations needed one request for each row.
// Failed and cancelled migrations had no figures at all, since only the answer of query-migrate was stored, which has
// none at such ends. The answer after a wait ignored the role of the viewer.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { migrationEnded } from '../../src/commands/waiting.ts';
import { ask, type FakeApp, fakeApp, startApp, temporaryDirectory, testConfig } from '../helpers/app.ts';
import { dataDirectory, migrationRecord, openedStore, SCHEMA_DIRECTORY, sampleAt } from '../store/fixtures.ts';

const FIGURES = { transferredBytes: 5000, totalTimeMs: 70, downtimeMs: 9 };

async function migrate({ server }: FakeApp, uri = 'tcp:127.0.0.1:1'): Promise<Record<string, unknown>> {
  return (await ask(server, '/migrate', { body: { uri } })).json;
}

async function firstRow({ server }: FakeApp): Promise<Record<string, unknown>> {
  return ((await ask(server, '/migrations')).json.migrations as Record<string, unknown>[])[0] ?? {};
}

const isOver = async (app: FakeApp): Promise<unknown> => (await firstRow(app))['ended-at'];

describe.each(['completed', 'failed', 'cancelled'] as const)('the row of a migration that has %s', (status) => {
  test('contains size, total time and, if the guest left, downtime', async () => {
    const app = await fakeApp();
    const { id } = await migrate(app);
    app.outgoing().step('active');
    if (status === 'completed') app.outgoing().step('device');
    app.outgoing().setFigures(FIGURES);
    if (status === 'completed') app.outgoing().finish(status);
    else if (status === 'failed') app.outgoing().finish(status, { code: 'connection_refused', message: 'refused' });
    else {
      const cancelled = app.domain.migration.cancel();
      app.outgoing().letGo();
      await cancelled;
    }
    await expect.poll(() => isOver(app)).not.toBeNull();
    const figures = { transferred: 5000, 'total-time': 70, downtime: status === 'completed' ? 9 : null };
    expect(await firstRow(app)).toMatchObject({ status, ...figures });
    expect((await ask(app.server, `/migrations/${id}`)).json).toMatchObject(figures);
  });
});

describe('the row of a migration in progress', () => {
  test('contains the current figures from the begin of its stream, and none before', async () => {
    const app = await fakeApp();
    const none = { transferred: null, 'total-time': null, downtime: null };
    expect(await migrate(app)).toMatchObject(none);
    expect(await firstRow(app)).toMatchObject(none);
    app.outgoing().step('active');
    app.outgoing().setFigures(FIGURES);
    expect(await firstRow(app)).toMatchObject({ transferred: 5000, 'total-time': 70, downtime: null });
    app.outgoing().setFigures({ transferredBytes: 6000 });
    expect((await ask(app.server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } })).status).toBe(409);
    expect(await firstRow(app)).toMatchObject({ transferred: 6000 });
  });

  test.each(['/migrations', '/migrations/ID'])(
    'keeps its tag at %s with until=status while figures grow',
    async (path) => {
      const app = await fakeApp();
      const { id } = await migrate(app);
      app.outgoing().step('active');
      const url = path.replace('ID', String(id));
      const tagOf = async (prefer: string) => (await ask(app.server, url, { headers: { prefer } })).headers.etag;
      const [figures, status] = [await tagOf(''), await tagOf('until=status')];
      app.outgoing().setFigures(FIGURES);
      expect(await tagOf('')).not.toBe(figures);
      const headers = { 'if-none-match': String(status) };
      const seen = await ask(app.server, url, { headers: { ...headers, prefer: 'until=status, wait=0' } });
      expect([seen.status, seen.headers['preference-applied']]).toEqual([304, 'wait=0, until=status']);
      const pending = ask(app.server, url, { headers: { ...headers, prefer: 'until=status, wait=30' } });
      app.outgoing().setFigures({ transferredBytes: 7000 });
      app.outgoing().step('pre-switchover');
      expect((await pending).text).toContain('pre-switchover');
    },
  );
});

test('a row after a crash has the transferred bytes of the last sample', async () => {
  const directory = temporaryDirectory();
  const store = openedStore(directory);
  for (const id of ['sampled', 'bare']) store.migrations.insert(migrationRecord(id, { status: 'active' }));
  store.migrations.addSamples('sampled', [sampleAt(0), { ...sampleAt(100), transferredBytes: 77 }]);
  store.close();
  const { server } = await startApp(testConfig(['--ram', '2M', '--workload', 'rate=0'], directory));
  const { migrations } = (await ask(server, '/migrations')).json;
  expect(migrations).toMatchObject([
    { id: 'bare', status: 'failed', transferred: null, 'total-time': null },
    { id: 'sampled', status: 'failed', transferred: 77, 'total-time': null },
  ]);
});

test('rows of an earlier version get their figures from the stored answer, or from their samples', () => {
  const directory = dataDirectory();
  const database = new Database(join(directory, 'vmferry.db'));
  const steps = readdirSync(SCHEMA_DIRECTORY)
    .filter((name) => name < '0009')
    .sort();
  for (const name of steps) database.exec(readFileSync(join(SCHEMA_DIRECTORY, name), 'utf8'));
  const insert = database.prepare(
    `INSERT INTO migrations (sequence, id, direction, uri, status, started_at, settings_json, result_json)
      VALUES (?, ?, 'outgoing', 'tcp:h:1', ?, 1, '{}', ?)`,
  );
  const kept = { status: 'completed', 'total-time': 2100, downtime: 41, ram: { transferred: 2 ** 52 } };
  insert.run(1, 'completed', 'completed', JSON.stringify(kept));
  insert.run(2, 'failed', 'failed', '{"status":"failed"}');
  insert.run(3, 'stopped', 'failed', null);
  database.exec(`INSERT INTO migration_samples VALUES ('failed', 1, 0, 'active', 10, 0, 0, 0, 0, 1),
    ('failed', 2, 100, 'active', 20, 0, 0, 0, 0, 1)`);
  database.exec(readFileSync(join(SCHEMA_DIRECTORY, '0009_row_figures.sql'), 'utf8'));
  const rows = database.prepare('SELECT transferred_bytes, total_time_ms, downtime_ms FROM migrations').raw().all();
  database.close();
  expect(rows).toEqual([
    [2 ** 52, 2100, 41],
    [20, null, null],
    [null, null, null],
  ]);
});

test('a row at the end of a wait hides what the role of the caller may not see', async () => {
  const app = await fakeApp({ flags: ['--allow-exec'] });
  const { id } = await migrate(app, 'exec:curl -u me:hunter2 https://example.org');
  app.outgoing().step('active');
  const patience = { timeoutMs: 30_000, signal: new AbortController().signal };
  const waits = (['viewer', 'operator'] as const).map((role) =>
    migrationEnded(app.domain, { id: String(id), role }, patience),
  );
  app.outgoing().finish('failed', { code: 'command_failed', message: 'hunter2: not found' });
  const [viewer, operator] = (await Promise.all(waits)).map((end) => JSON.stringify(end));
  expect(operator).toContain('hunter2');
  expect(viewer).toContain('"ended":true');
  expect(viewer).not.toContain('hunter2');
});
