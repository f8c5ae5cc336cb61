// Many clients of the event stream: reading clients miss nothing, others are disconnected, memory stays constant, and
// other requests are answered quickly during migrations.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { pollSteadily } from '../../bench/service/poller.ts';
import { percentile } from '../../bench/statistics.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { type Spawned, spawnService } from '../helpers/guest-service.ts';
import { QmpFollower } from './crowd/qmp-clients.ts';

const READERS = 450;
const DEAF = 50;
const QMP_CLIENTS = 50;
const QMP_DEAF = 5;
const MIGRATIONS = 4;
const P99_MS_MAX = 20;
const MIB = 2 ** 20;
/** A guest so large and a rate so low that no migration ends by itself. */
const SOURCE = ['--enable', 'events', '--set', 'max-bandwidth=2M', '--workload', 'rate=4M,span=2M,fill=random'];
/** The bytes of each migration before its cancel: five seconds. */
const MIGRATED_BYTES = 10 * MIB;
/** Half a MiB for each client: the buffers of Node and their overhead. */
const GROWTH_MIB_MAX = (READERS + DEAF) / 2;

test('500 clients of the event stream and 50 over QMP, a tenth of which do not read, are served while migrations run', async () => {
  const socket = `${temporaryDirectory()}/qmp.sock`;
  const source = await spawnService(temporaryDirectory(), [...SOURCE, '--qmp', `unix:${socket}`]);
  const target = await spawnService(temporaryDirectory(), ['--incoming', 'defer']);
  const crowd = await startCrowd(source.url);
  const qmp = await Promise.all(Array.from({ length: QMP_CLIENTS }, () => QmpFollower.connect(socket)));
  onTestFinished(() => {
    for (const client of qmp) client.close();
  });
  const [qmpDeaf, qmpReaders] = [qmp.slice(0, QMP_DEAF), qmp.slice(QMP_DEAF)];
  for (const client of qmpDeaf) client.stopReading();
  const before = residentBytes(source);

  const latencies: number[] = [];
  for (let round = 0; round < MIGRATIONS; round += 1) await migrateAndCancel({ source, target, latencies });
  expect(await crowd.caughtUp(await newestEvent(source))).toMatchObject({ faults: [] });
  const p99 = percentile(latencies, 99);
  console.log(`GET /migrate meanwhile: p99 ${p99.toFixed(1)} ms`);
  expect(p99).toBeLessThanOrEqual(P99_MS_MAX);

  await floodUntilCut(source);
  expect(await crowd.caughtUp(await newestEvent(source))).toEqual({ faults: [], furthest: 0 });
  expect(await eventStreams(source)).toBe(READERS);
  await expectSameEvents(qmpReaders);
  for (const client of qmpDeaf) {
    await client.readToEnd();
    expect(client.events.length).toBeLessThan(qmpReaders[0]?.events.length ?? 0);
  }
  expect((residentBytes(source) - before) / MIB).toBeLessThan(GROWTH_MIB_MAX);
});

/** Expects that no client was closed, and that all received the same events in the same order. */
async function expectSameEvents(clients: readonly QmpFollower[]): Promise<void> {
  await Promise.all(clients.map((client) => client.caughtUp()));
  const told = clients.map(({ events }) => events.join('\n'));
  expect(told[0]).toContain('"MIGRATION"');
  expect(told.filter((text) => text !== told[0])).toEqual([]);
  expect(clients.filter(({ isClosed }) => isClosed)).toEqual([]);
}

type Seen = { readonly faults: readonly string[]; readonly furthest: number };

async function startCrowd(url: string): Promise<{ caughtUp(newest: number): Promise<Seen> }> {
  const program = fileURLToPath(new URL('crowd/readers.ts', import.meta.url));
  const words = [program, url, String(READERS), String(DEAF)];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  expect(await next()).toBe('open');
  return {
    caughtUp: async (newest) => {
      child.stdin.write(`${newest}\n`);
      return JSON.parse(await next()) as Seen;
    },
  };
}

type Moving = { readonly source: Spawned; readonly target: Spawned; readonly latencies: number[] };

/** A migration that is cancelled after some time; `latencies` gets the latencies of GET /migrate while it was active. */
async function migrateAndCancel({ source, target, latencies }: Moving): Promise<void> {
  await target.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
  await source.start(await target.incomingUri());
  await source.until(({ ram }) => (ram?.transferred ?? 0) > 0);
  let isOver = false;
  const onAnswer = (latencyMs: number): number => latencies.push(latencyMs);
  const steadily = { url: source.url, path: '/migrate', requestsPerSecond: 100, isOver: () => isOver, onAnswer };
  const polling = pollSteadily(steadily);
  await source.until(({ ram }) => (ram?.transferred ?? 0) > MIGRATED_BYTES);
  isOver = true;
  await polling;
  await source.cancel();
  await target.ended();
}

/** Jobs with long names, each with about 2 KB of events, until the clients that do not read are disconnected. */
async function floodUntilCut(service: Spawned): Promise<void> {
  for (let job = 0; (await eventStreams(service)) > READERS; job += 1) {
    const calls = Array.from({ length: 20 }, (_, call) => {
      const id = `flood-${job}-${call}-`.padEnd(250, 'x');
      const arguments_ = { 'job-id': id, tag: 'none', devices: ['disk0'] };
      return service.post('/qmp', { execute: 'snapshot-delete', arguments: arguments_ });
    });
    for (const { json } of await Promise.all(calls)) expect(json).toEqual({ return: {} });
    const [first] = (await service.get<{ jobs: { id: string }[] }>('/jobs')).jobs;
    await service.call(`/jobs/${first?.id}`, { headers: { prefer: 'wait=30' } });
  }
}

async function scrape(service: Spawned): Promise<string> {
  return (await service.call('/metrics')).text;
}

async function eventStreams(service: Spawned): Promise<number> {
  return Number(/^vmferry_event_streams (\d+)$/m.exec(await scrape(service))?.[1]);
}

async function newestEvent(service: Spawned): Promise<number> {
  return Number(/^vmferry_events_total (\d+)$/m.exec(await scrape(service))?.[1]);
}

function residentBytes({ process: child }: Spawned): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
