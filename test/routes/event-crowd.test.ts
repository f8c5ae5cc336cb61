import { expect, onTestFinished, test } from 'vitest';
import { EventHub } from '../../src/domain/events/event-hub.ts';
import { settled } from '../domain/jobs/world.ts';
import { fakeApp, listen } from '../helpers/app.ts';
import { readEvents } from '../helpers/event-reader.ts';

const READERS = 40;
const DEAF = 4;
/** Large, so that the socket buffers of some megabytes are full soon. */
const EVENT_BYTES = 20_000;
const EVENTS_PER_ROUND = 20;

// The soak test has 500 of them, and migrations: test/soak/event-crowd.test.ts.
test('clients of the event stream that read miss nothing, and clients that do not read are disconnected', async () => {
  const app = await fakeApp();
  const { events } = app.domain;
  if (!(events instanceof EventHub)) throw new TypeError('these events cannot be made');
  const url = `http://127.0.0.1:${await listen(app.server)}`;
  const all = Array.from({ length: READERS }, (_, index) => readEvents(url, { since: 0, isDeaf: index < DEAF }));
  onTestFinished(() => {
    for (const reader of all) reader.close();
  });
  await Promise.all(all.map(({ opened }) => opened));
  const [deaf, readers] = [all.slice(0, DEAF), all.slice(DEAF)];
  const open = () =>
    new Promise<number>((resolve) => void app.server.server.getConnections((_, count) => resolve(count)));
  let told = 0;
  while ((await open()) > readers.length) {
    for (let made = 0; made < EVENTS_PER_ROUND; made += 1, told += 1) {
      events.commit((emit) => emit('TEST', { text: 'x'.repeat(EVENT_BYTES) }));
    }
    await expect.poll(() => Math.min(...readers.map(({ last }) => last())), { interval: 5 }).toBe(told);
  }
  expect(readers.flatMap(({ faults }) => faults)).toEqual([]);
  expect(deaf.map(({ last }) => last())).toEqual(deaf.map(() => 0));
  expect(await open()).toBe(readers.length);
});

test('a client that reads nothing between two heartbeats, with events pending, is disconnected', async () => {
  const app = await fakeApp({ limits: { eventHeartbeatMs: 20, eventBufferBytesMax: 2 ** 30 } });
  const { events } = app.domain;
  if (!(events instanceof EventHub)) throw new TypeError('these events cannot be made');
  const deaf = readEvents(`http://127.0.0.1:${await listen(app.server)}`, { since: 0, isDeaf: true });
  await deaf.opened;
  const open = () =>
    new Promise<number>((resolve) => void app.server.server.getConnections((_, count) => resolve(count)));
  while ((await open()) > 0) {
    events.commit((emit) => emit('TEST', { text: 'x'.repeat(EVENT_BYTES) }));
    await settled();
  }
  expect(deaf.last()).toBe(0);
});
