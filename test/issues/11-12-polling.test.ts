// Dashboards poll. Only GET /migrate, the settings and the jobs had entity tags, so every other poll got a complete
// answer. A wait on GET /migrate ended at every new figure, ten times a second, even for a client that waits for a
// change of status. The target of a migration reported a rate of 0 while it received bytes.

import { describe, expect, test } from 'vitest';
import { ask, type FakeApp, fakeApp, type Reply, startApp, testConfig } from '../helpers/app.ts';

const MIGRATE = { body: { uri: 'tcp:127.0.0.1:1' } };

async function tagOf({ server }: FakeApp, url: string, prefer = ''): Promise<string> {
  return String((await ask(server, url, { headers: { prefer } })).headers.etag);
}

function poll({ server }: FakeApp, url: string, tag: string, prefer = 'wait=0'): Promise<Reply> {
  return ask(server, url, { headers: { 'if-none-match': tag, prefer } });
}

/** Begins a migration. @returns the path of its row. */
async function migrate({ server }: FakeApp): Promise<string> {
  return String((await ask(server, '/migrate', MIGRATE)).headers.location);
}

type Change = (app: FakeApp) => Promise<void>;
const CHANGES: readonly (readonly [url: string, change: Change])[] = [
  ['/status', async (app) => void (await ask(app.server, '/stop', { method: 'POST' }))],
  [
    '/machine',
    async (app) => void (await ask(app.server, '/machine/workload', { method: 'PATCH', body: { rate: 7 } })),
  ],
  ['/migrate/progress', async (app) => void (await migrate(app))],
  ['/migrations', async (app) => void (await migrate(app))],
];

describe.each(CHANGES)('the entity tag of %s', (url, change) => {
  test('depends on the content: 304 while it is unchanged, another tag after a change', async () => {
    const app = await fakeApp();
    const tag = await tagOf(app, url);
    expect(tag).toMatch(/^W\/"/);
    const again = await poll(app, url, tag);
    expect([again.status, again.text, again.headers.etag]).toEqual([304, '', tag]);
    await change(app);
    const changed = await poll(app, url, tag);
    expect(changed.status).toBe(200);
    expect(changed.headers.etag).not.toBe(tag);
  });

  test('ends a wait at a change', async () => {
    const app = await fakeApp();
    const pending = poll(app, url, await tagOf(app, url), 'wait=30');
    await ask(app.server, '/healthz');
    await change(app);
    expect((await pending).status).toBe(200);
  });
});

test('GET /migrations/ID ends a wait when the status of the migration changes', async () => {
  const app = await fakeApp();
  const row = await migrate(app);
  const pending = poll(app, row, await tagOf(app, row), 'wait=30');
  await ask(app.server, '/healthz');
  app.outgoing().step('active');
  expect((await pending).json).toMatchObject({ status: 'active' });
});

test('GET /snapshots ends a wait when a snapshot has been saved', async () => {
  const app = await fakeApp();
  const pending = poll(app, '/snapshots', await tagOf(app, '/snapshots'), 'wait=30');
  await ask(app.server, '/snapshots', { body: { tag: 'warm' }, headers: { prefer: 'wait=30' } });
  expect((await pending).json).toMatchObject({ snapshots: [{ tag: 'warm' }] });
});

describe('Prefer: until=status', () => {
  test('keeps the tag of GET /migrate while only figures change, and changes it with the status', async () => {
    const app = await fakeApp();
    await migrate(app);
    app.outgoing().step('active');
    const [figures, status] = [await tagOf(app, '/migrate'), await tagOf(app, '/migrate', 'until=status')];
    app.outgoing().setFigures({ transferredBytes: 4096 });
    expect((await poll(app, '/migrate', figures)).status).toBe(200);
    const same = await poll(app, '/migrate', status, 'wait=0, until=status');
    expect([same.status, same.headers['preference-applied']]).toEqual([304, 'wait=0, until=status']);
    const pending = poll(app, '/migrate', status, 'until=status, wait=30');
    app.outgoing().setFigures({ transferredBytes: 8192 });
    app.outgoing().step('pre-switchover');
    expect((await pending).json).toMatchObject({ status: 'pre-switchover' });
  });

  test('distinguishes two migrations with the same status', async () => {
    const app = await fakeApp();
    await migrate(app);
    app.outgoing().finish('failed', { code: 'connection_refused', message: 'refused' });
    await expect.poll(async () => (await ask(app.server, '/migrate')).json.status).toBe('failed');
    const tag = await tagOf(app, '/migrate', 'until=status');
    await migrate(app);
    app.outgoing().finish('failed', { code: 'connection_refused', message: 'refused' });
    await expect.poll(async () => (await ask(app.server, '/migrate')).json.status).toBe('failed');
    expect((await poll(app, '/migrate', tag, 'until=status')).status).toBe(200);
  });
});

test('the target of a migration reports the receive rate', async () => {
  const small = ['--ram', '16M', '--workload', 'rate=0'];
  const target = await startApp(testConfig([...small, '--incoming', 'tcp:127.0.0.1:0']));
  const source = await startApp(testConfig([...small, '--set', 'max-bandwidth=4M']));
  const [address] = (await ask(target.server, '/migrate')).json['socket-address'] as { port: string }[];
  await ask(source.server, '/migrate', { body: { uri: `tcp:127.0.0.1:${address?.port}` } });
  await expect
    .poll(async () => (await ask(target.server, '/migrate/progress')).json.rate, { interval: 20 })
    .toBeGreaterThan(100_000);
  await ask(source.server, '/migrate/cancel', { method: 'POST' });
});
