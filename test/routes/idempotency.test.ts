import { describe, expect, test } from 'vitest';
import { KEY_LENGTH_MAX } from '../../src/routes/http/idempotency-key.ts';
import {
  ask,
  exchange,
  type FakeApp,
  fakeApp,
  listen,
  startApp,
  temporaryDirectory,
  testConfig,
} from '../helpers/app.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';

const KEY = { 'idempotency-key': 'a-key' };
const SAVE = { body: { tag: 'a' }, headers: KEY };

async function jobCount({ server }: Pick<FakeApp, 'server'>): Promise<number> {
  return ((await ask(server, '/jobs')).json.jobs as unknown[]).length;
}

describe('a request with an Idempotency-Key', () => {
  test('gets the same answer when it is repeated, and starts nothing', async () => {
    const app = await fakeApp();
    const first = await ask(app.server, '/snapshots', SAVE);
    await ask(app.server, String(first.headers.location), { headers: { prefer: 'wait=30' } });
    const again = await ask(app.server, '/snapshots', SAVE);
    expect([first.status, again.status]).toEqual([202, 202]);
    expect([again.headers.location, again.text]).toEqual([first.headers.location, first.text]);
    expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([undefined, 'true']);
    expect([await jobCount(app), app.blocks.saves.length]).toEqual([1, 1]);
  });

  test('is the same with other spaces and another member order in its body', async () => {
    const app = await fakeApp();
    const first = await ask(app.server, '/snapshots', { headers: KEY, body: '{"tag":"a","devices":["disk0"]}' });
    const again = await ask(app.server, '/snapshots', { headers: KEY, body: '{ "devices": ["disk0"], "tag": "a" }' });
    expect([again.status, again.text]).toEqual([202, first.text]);
  });

  test('is another one if its method, path, query or body differs', async () => {
    const app = await fakeApp();
    for (const tag of ['x', 'y']) app.blocks.put('disk0', { tag, vmStateBytes: 1 });
    await ask(app.server, '/snapshots', SAVE);
    for (const [path, request] of [
      ['/snapshots', { body: { tag: 'b' } }],
      ['/snapshots/x/load', { method: 'POST' }],
      ['/snapshots/x/verify', { method: 'POST' }],
      ['/snapshots/x', { method: 'DELETE' }],
      ['/snapshots?devices=disk0', { body: { tag: 'a' } }],
      ['/migrate', { body: { uri: 'tcp:h:1' } }],
    ] as const) {
      const refused = await ask(app.server, path, { ...request, headers: KEY });
      expect(refused.json, path).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
    }
    expect(await jobCount(app)).toBe(1);
  });

  test('is refused while the first one is in progress, and answered after that', async () => {
    const app = await fakeApp();
    const gate = app.blocks.hold('save');
    const request = { ...SAVE, headers: { ...KEY, prefer: 'wait=30' } };
    const pending = ask(app.server, '/snapshots', request);
    await expect.poll(() => app.blocks.saves.length).toBe(1);
    const early = await ask(app.server, '/snapshots', request);
    expect(early.json).toMatchObject({ status: 409, code: 'idempotency_key_in_use' });
    gate.open();
    const first = await pending;
    const again = await ask(app.server, '/snapshots', request);
    expect([first.status, again.status]).toEqual([200, 200]);
    expect([first.json.outcome, again.text]).toEqual(['completed', first.text]);
    expect(await jobCount(app)).toBe(1);
  });

  test('waits, when it is repeated, for the job that it started and not for a later job with this id', async () => {
    const { server } = await fakeApp();
    const wait = { prefer: 'wait=30' };
    const first = { body: { tag: 'one', 'job-id': 'nightly' }, headers: { ...wait, 'idempotency-key': 'A' } };
    const second = { body: { tag: 'two', 'job-id': 'nightly' }, headers: { ...wait, 'idempotency-key': 'B' } };
    const answer = await ask(server, '/snapshots', first);
    await ask(server, '/jobs/nightly/dismiss', { method: 'POST' });
    await ask(server, '/snapshots', second);
    const again = await ask(server, '/snapshots', first);
    expect([again.status, again.headers['idempotency-replayed'], again.text]).toEqual([200, 'true', answer.text]);
    expect(again.json.details).toMatchObject({ tag: 'one' });
  });

  test('that was refused can be sent again with the same key', async () => {
    const app = await fakeApp();
    app.blocks.put('disk0', { tag: 'a' });
    expect((await ask(app.server, '/snapshots', SAVE)).json.code).toBe('snapshot_exists');
    await ask(app.server, '/snapshots/a', { method: 'DELETE', headers: { prefer: 'wait=30' } });
    expect((await ask(app.server, '/snapshots', SAVE)).status).toBe(202);
  });

  test('to migrate starts one migration', async () => {
    const { server } = await fakeApp();
    const request = { body: { uri: 'tcp:127.0.0.1:4444' }, headers: KEY };
    const first = await ask(server, '/migrate', request);
    const again = await ask(server, '/migrate', request);
    expect([again.status, again.headers.location, again.text]).toEqual([202, first.headers.location, first.text]);
    expect((await ask(server, '/migrations')).json.migrations).toHaveLength(1);
  });

  test('is still known after a restart', async () => {
    const config = testConfig([], temporaryDirectory());
    const first = await startApp(config, { blocks: new MemoryBlocks() });
    const answer = await ask(first.server, '/snapshots', SAVE);
    await first.close();
    const blocks = new MemoryBlocks();
    const next = await startApp(config, { blocks });
    const again = await ask(next.server, '/snapshots', SAVE);
    expect([again.status, again.headers.location, again.text]).toEqual([202, answer.headers.location, answer.text]);
    expect(blocks.saves).toEqual([]);
    const job = await ask(next.server, String(answer.headers.location));
    expect(job.json).toMatchObject({ status: 'concluded' });
  });
});

describe('an Idempotency-Key', () => {
  test.each(['x', 'kept over a crash', '"8e03978e-40d5-43dd-bc93-6894a57f9324"', 'k'.repeat(KEY_LENGTH_MAX)])(
    'may be %j',
    async (key) => {
      const { server } = await fakeApp();
      const reply = await ask(server, '/snapshots', { body: { tag: 'a' }, headers: { 'idempotency-key': key } });
      expect(reply.status, reply.text).toBe(202);
    },
  );

  test.each(['', 'é', 'a\tb', 'k'.repeat(KEY_LENGTH_MAX + 1)])('may not be %j, and nothing is started', async (key) => {
    const app = await fakeApp();
    const reply = await ask(app.server, '/snapshots', { body: { tag: 'a' }, headers: { 'idempotency-key': key } });
    expect(reply.json).toMatchObject({ status: 400, code: 'idempotency_key_malformed' });
    expect(await jobCount(app)).toBe(0);
  });

  test('cannot be given twice', async () => {
    const app = await fakeApp();
    const port = await listen(app.server);
    const body = '{"tag":"a"}';
    const head = ['POST /snapshots HTTP/1.1', 'Host: localhost', 'Content-Type: application/json', 'Connection: close'];
    const keys = ['Idempotency-Key: a', 'Idempotency-Key: b', `Content-Length: ${body.length}`];
    const text = await exchange(port, `${[...head, ...keys].join('\r\n')}\r\n\r\n${body}`);
    expect(text).toContain('HTTP/1.1 400');
    expect(text).toContain('idempotency_key_malformed');
    expect(await jobCount(app)).toBe(0);
  });
});
