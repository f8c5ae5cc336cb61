import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../src/store/sqlite-store.ts';
import { FakeEngine } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { ask, type FakeApp, fakeApp, listen, startApp, temporaryDirectory, testConfig } from '../helpers/app.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';

const SCHEMA_DIRECTORY = fileURLToPath(new URL('../../migrations-db', import.meta.url));

/** A client of the event stream that stores the received events. */
async function follow(port: number, path = '/events', headers: Record<string, string> = {}) {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers, signal: abort.signal });
  let text = '';
  let ended = false;
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    ended = true;
  })().catch(() => {
    ended = true;
  });
  const events = () => [...text.matchAll(/(?:id: (\d+)\n)?event: (\S+)\ndata: (.*)\n\n/g)];
  return {
    response,
    reading,
    abort,
    text: () => text,
    ended: () => ended,
    names: () => events().map((match) => match[2]),
    ids: () => events().map((match) => Number(match[1])),
    data: () => events().map((match) => JSON.parse(match[3] ?? '') as Record<string, unknown>),
  };
}

/** Creates `count` events. */
async function stopAndGo({ server }: FakeApp, count: number): Promise<void> {
  for (let made = 0; made < count; made += 1) await ask(server, made % 2 === 0 ? '/stop' : '/cont', { method: 'POST' });
}

describe('GET /events', () => {
  test('sends events as they occur, in the form of QMP', async () => {
    const app = await fakeApp();
    const client = await follow(await listen(app.server));
    expect(client.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(client.response.headers.get('x-content-type-options')).toBe('nosniff');
    await stopAndGo(app, 2);
    await expect.poll(client.names).toEqual(['STOP', 'RESUME']);
    expect(client.ids()).toEqual([1, 2]);
    expect(client.data()[0]).toEqual({
      event: 'STOP',
      timestamp: { seconds: expect.any(Number), microseconds: expect.any(Number) },
    });
  });

  test('starts with the next event if no number is given', async () => {
    const app = await fakeApp();
    const port = await listen(app.server);
    await stopAndGo(app, 3);
    const now = await follow(port);
    const all = await follow(port, '/events?since=0');
    const some = await follow(port, '/events?since=0', { 'last-event-id': '2' });
    await stopAndGo(app, 1);
    await ask(app.server, '/cont', { method: 'POST' });
    await expect.poll(now.ids).toEqual([4]);
    await expect.poll(all.ids).toEqual([1, 2, 3, 4]);
    await expect.poll(some.ids).toEqual([3, 4]);
  });

  test('sends a long log page by page, in order and without a gap', async () => {
    const app = await fakeApp({ limits: { eventPageMax: 2 } });
    await stopAndGo(app, 9);
    const client = await follow(await listen(app.server), '/events?since=0');
    await expect.poll(client.ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('starts with the next event if the given number is too high, since no event was lost', async () => {
    const app = await fakeApp();
    const client = await follow(await listen(app.server), '/events?since=1000');
    await stopAndGo(app, 1);
    await expect.poll(client.names).toEqual(['STOP']);
    expect(client.ids()).toEqual([1]);
  });

  test('reports removed events as a gap to each of many clients with old numbers, and sends the rest', async () => {
    const data = temporaryDirectory();
    const store = openStore(data, SCHEMA_DIRECTORY);
    for (let made = 0; made < 20; made += 1) store.events.append({ name: 'STOP', data: null, at: 0 });
    store.events.prune(5);
    store.close();
    const app = await startApp(testConfig([], data), {
      engine: new FakeEngine(),
      machine: new FakeMachine(),
      blocks: new MemoryBlocks(),
    });
    const port = await listen(app.server);
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => follow(port, '/events', { 'last-event-id': '3' })),
    );
    for (const client of clients)
      await expect.poll(client.names).toEqual(['gap', ...Array.from({ length: 5 }, () => 'STOP')]);
    expect(clients[0]?.data()[0]).toEqual({ from: 4, to: 15 });
    expect(clients[0]?.ids().slice(1)).toEqual([16, 17, 18, 19, 20]);
  });

  test('sends heartbeats that keep the connection open', async () => {
    const { server } = await fakeApp({ limits: { eventHeartbeatMs: 10 } });
    const client = await follow(await listen(server));
    await expect.poll(client.text).toContain(':\n\n:\n\n');
  });

  test('sends a final event when the service closes', async () => {
    const app = await fakeApp();
    const client = await follow(await listen(app.server));
    await app.close();
    await client.reading;
    expect(client.names()).toEqual(['bye']);
    expect(client.data()).toEqual([{ reason: 'shutting-down' }]);
  });

  test('refuses a client beyond the limit until another disconnects', async () => {
    const { server } = await fakeApp({ limits: { eventStreamsMax: 1 } });
    const port = await listen(server);
    const first = await follow(port);
    const refused = await ask(server, '/events');
    expect(refused.json).toMatchObject({ status: 503, code: 'too_many_event_streams' });
    expect(refused.headers['retry-after']).toBe('1');
    first.abort.abort();
    await expect
      .poll(async () => (await fetch(`http://127.0.0.1:${port}/events`, { method: 'HEAD' })).status)
      .toBe(200);
  });

  test('disconnects a client that does not read, and serves the others', async () => {
    const app = await fakeApp({ limits: { eventBufferBytesMax: 1000 } });
    const port = await listen(app.server);
    const deaf = connect(port, '127.0.0.1');
    onTestFinished(() => void deaf.destroy());
    deaf.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => deaf.once('readable', resolve));
    const cut = new Promise((resolve) => deaf.once('close', resolve));
    const client = await follow(port);
    // The buffers of the two sockets are filled first: some megabytes.
    do {
      for (let step = 0; step < 500; step += 1) {
        await app.domain.machine.stop();
        await app.domain.machine.cont();
      }
    } while ((await connectionsOf(app)) > 1);
    deaf.resume();
    await cut;
    expect(client.ended()).toBe(false);
  });
});

/** The number of connected clients. */
async function connectionsOf(app: FakeApp): Promise<number> {
  return await new Promise((resolve, reject) => {
    app.server.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}
