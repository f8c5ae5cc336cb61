// Many clients of the event stream reconnect with old event numbers. Each client got its pages in one loop until its
// socket was full, megabytes on loopback, and each read and encoded the log for itself: 200 clients with 100,000
// events to catch up blocked the event loop for seconds (`/healthz`: median 1.6 s, maximum 5.8 s). Events that were
// pruned while a slow client caught up were skipped without a `gap`. Now the clients are served alternately, one page
// in each turn of the event loop, and share the pages.

import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { Domain } from '../../src/domain/domain.ts';
import type { EventRecord } from '../../src/domain/ports/store.ts';
import { EventStreams } from '../../src/routes/http/event-streams.ts';
import { HTTP_LIMITS } from '../../src/routes/http-limits.ts';
import { fakeApp, listen } from '../helpers/app.ts';
import { readEvents } from '../helpers/event-reader.ts';

/** A client that reads everything, until the test stops it. */
class Client extends EventEmitter {
  readonly ids: number[] = [];
  readonly gaps: { readonly from: number; readonly to: number }[] = [];
  readonly words: string[] = [];
  pages = 0;
  writableNeedDrain = false;
  destroyed = false;

  write(data: string | Buffer): boolean {
    const text = String(data);
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    this.ids.push(...ids);
    if (ids.length > 0) this.pages += 1;
    for (const [, gap] of text.matchAll(/^event: gap\ndata: (.*)$/gm)) this.gaps.push(JSON.parse(gap!));
    return true;
  }

  end(last: string): void {
    this.words.push(last);
  }

  destroy(): void {
    this.destroyed = true;
  }
}

/** A log of numbered events that is read in pages of `page` events. */
function eventLog(count: number, page: number) {
  const log: EventRecord[] = [];
  const listeners = new Set<(event: EventRecord) => void>();
  const reads = { count: 0, fails: false };
  const make = (text = '') => {
    const event = { id: (log.at(-1)?.id ?? 0) + 1, name: 'TEST', data: { text }, at: 0 };
    log.push(event);
    for (const listener of listeners) listener(event);
  };
  for (let made = 0; made < count; made += 1) make();
  const events = {
    bounds: () => ({ oldest: log[0]?.id ?? 0, newest: log.at(-1)?.id ?? 0 }),
    since: (after: number, limit: number) => {
      reads.count += 1;
      if (reads.fails) throw new Error('disk I/O error');
      return log.filter(({ id }) => id > after).slice(0, limit);
    },
    subscribe: (listener: (event: EventRecord) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const faults: unknown[] = [];
  const limits = { ...HTTP_LIMITS, eventPageMax: page, eventBufferBytesMax: 10_000 };
  const streams = new EventStreams({ events } as unknown as Domain, limits, (fault) => faults.push(fault));
  const follow = (since: number | null): Client => {
    const client = new Client();
    onTestFinished(() => void client.emit('close'));
    streams.follow(client as unknown as ServerResponse, since);
    return client;
  };
  return { make, follow, streams, reads, faults, prune: (upTo: number) => void log.splice(0, upTo - log[0]!.id + 1) };
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);

test('clients that reconnect together get one page in each turn of the event loop, and share one read of the log', async () => {
  const { follow, reads } = eventLog(1000, 100);
  const clients = [0, 0, 0, 7, 350, 350, 999].flatMap((since) => Array.from({ length: 10 }, () => follow(since)));
  const given = () => clients.reduce((sum, { pages }) => sum + pages, 0);
  expect(given()).toBe(0);
  for (let before = 0; clients.some(({ ids }) => ids.at(-1) !== 1000); before = given()) {
    await turn();
    expect(given() - before).toBeLessThanOrEqual(1);
  }
  expect(clients[0]?.ids).toEqual(numbers(1, 1000));
  expect(clients[35]?.ids).toEqual(numbers(8, 1000));
  expect(clients[45]?.ids).toEqual(numbers(351, 1000));
  expect(clients[65]?.ids).toEqual([1000]);
  // Ten complete pages, three that start within a page, and the end of the log.
  expect(reads.count).toBeLessThanOrEqual(10 + 3 + clients.length);
});

test('events during the catch-up of clients arrive once, after the events of the log, and no reading client is disconnected', async () => {
  const { follow, make } = eventLog(300, 10);
  const clients = Array.from({ length: 20 }, () => follow(0));
  for (let made = 0; made < 40; made += 1) {
    make('x'.repeat(1000));
    await turn();
  }
  while (clients.some(({ ids }) => ids.at(-1) !== 340)) await turn();
  make();
  while (clients.some(({ ids }) => ids.at(-1) !== 341)) await turn();
  for (const { ids, destroyed } of clients) expect([ids, destroyed]).toEqual([numbers(1, 341), false]);
});

test('events that are pruned while a slow client catches up are reported as a gap, and it continues after them', async () => {
  const { follow, prune } = eventLog(100, 10);
  const client = follow(0);
  await turn();
  client.writableNeedDrain = true;
  while (client.ids.length < 10) await turn();
  prune(60);
  client.writableNeedDrain = false;
  client.emit('drain');
  while (client.ids.at(-1) !== 100) await turn();
  expect(client.gaps).toEqual([{ from: 11, to: 60 }]);
  expect(client.ids).toEqual([...numbers(1, 10), ...numbers(61, 100)]);
});

test('a client that reads nothing while it catches up is disconnected, and other clients are served', async () => {
  const { follow, make } = eventLog(100, 10);
  const [deaf, reader] = [follow(0), follow(0)];
  deaf.writableNeedDrain = true;
  for (let made = 0; made < 20; made += 1) make('x'.repeat(1000));
  while (reader.ids.at(-1) !== 120) await turn();
  expect([deaf.destroyed, reader.destroyed]).toEqual([true, false]);
});

test('a log that cannot be read disconnects only the client that needed it, and is reported', async () => {
  const { follow, make, reads, faults } = eventLog(100, 10);
  const [live, behind] = [follow(null), follow(0)];
  reads.fails = true;
  await turn();
  expect([behind.destroyed, live.destroyed, faults]).toEqual([true, false, [new Error('disk I/O error')]]);
  make();
  expect(live.ids).toEqual([101]);
});

test('a service that closes while hundreds of clients catch up sends all of them together a bounded amount, and each a final event', () => {
  const { follow, streams } = eventLog(5000, 100);
  const clients = Array.from({ length: 400 }, () => follow(0));
  streams.endAll('shutting-down');
  expect(clients.map(({ words }) => words.length)).toEqual(clients.map(() => 1));
  expect(clients.reduce((sum, { pages }) => sum + pages, 0)).toBeLessThanOrEqual(400);
});

test('clients beyond the limit are refused with Retry-After, and the others miss nothing', async () => {
  const app = await fakeApp({ limits: { eventStreamsMax: 30, eventPageMax: 2 } });
  for (let made = 0; made < 9; made += 1)
    await (made % 2 === 0 ? app.domain.machine.stop() : app.domain.machine.cont());
  const url = `http://127.0.0.1:${await listen(app.server)}`;
  const readers = Array.from({ length: 30 }, () => readEvents(url, { since: 0 }));
  onTestFinished(() => readers.forEach((reader) => void reader.close()));
  await Promise.all(readers.map(({ opened }) => opened));
  const refused = await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/events`)));
  expect(refused.map(({ status, headers }) => [status, headers.get('retry-after')])).toEqual(
    refused.map(() => [503, '1']),
  );
  await expect.poll(() => readers.map(({ last }) => last())).toEqual(readers.map(() => 9));
  expect(readers.flatMap(({ faults }) => faults)).toEqual([]);
});
