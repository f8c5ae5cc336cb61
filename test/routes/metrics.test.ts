import { describe, expect, test } from 'vitest';
import { WorkerThreads } from '../../src/engine/memory/worker-memory.ts';
import { HttpFigures, LATENCY_BOUNDS } from '../../src/routes/metrics/running-figures.ts';
import { NO_FIGURES } from '../domain/fakes/fake-engine.ts';
import { settled } from '../domain/jobs/world.ts';
import { ask, type FakeApp, fakeApp } from '../helpers/app.ts';
import { localService } from '../helpers/guest-service.ts';
import { jobIn } from '../helpers/jobs.ts';

/** The samples of a scrape, by name and labels as text. */
async function scrape({ server }: FakeApp): Promise<ReadonlyMap<string, number>> {
  const reply = await ask(server, '/metrics');
  expect(reply.status).toBe(200);
  expect(reply.headers['content-type']).toMatch(/^text\/plain; version=/);
  const lines = reply.text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

describe('GET /metrics', () => {
  test('counts events before the first scrape', async () => {
    const app = await fakeApp();
    for (let request = 0; request < 3; request += 1) await ask(app.server, '/status');
    await ask(app.server, '/nowhere');
    const samples = await scrape(app);
    const labels = 'method="GET",route="/status",status="200"';
    expect(samples.get(`vmferry_http_request_duration_seconds_count{${labels}}`)).toBe(3);
    expect(samples.get(`vmferry_http_request_duration_seconds_bucket{${labels},le="+Inf"}`)).toBe(3);
    expect(samples.get('vmferry_http_request_duration_seconds_count{method="GET",route="none",status="404"}')).toBe(1);
  });

  test('has running and ended migrations', async () => {
    const app = await fakeApp();
    expect((await scrape(app)).has('vmferry_migration_transferred_bytes')).toBe(false);
    await ask(app.server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    app.outgoing().step('active');
    app
      .outgoing()
      .setFigures({ ...NO_FIGURES, transferredBytes: 7_000_000, remainingBytes: 5000, expectedDowntimeMs: 40 });
    const running = await scrape(app);
    expect(running.get('vmferry_migration_status{status="active"}')).toBe(1);
    expect(running.get('vmferry_migration_transferred_bytes')).toBe(7_000_000);
    expect(running.get('vmferry_migration_remaining_bytes')).toBe(5000);
    expect(running.get('vmferry_migration_expected_downtime_seconds')).toBe(0.04);
    for (const status of ['device', 'completed'] as const) app.outgoing().step(status);
    app.outgoing().setFigures({ downtimeMs: 30 });
    app.outgoing().end({ status: 'completed', error: null, guest: 'there' });
    await settled();
    const ended = await scrape(app);
    expect(ended.get('vmferry_migrations_total{direction="outgoing",outcome="completed"}')).toBe(1);
    expect(ended.get('vmferry_migration_downtime_seconds')).toBe(0.03);
    expect(ended.get('vmferry_migration_status{status="active"}')).toBe(0);
  });

  test('has jobs, snapshots, the database and the process', async () => {
    const app = await fakeApp();
    app.blocks.put('disk0', { tag: 'one', vmStateBytes: 1 });
    await jobIn(app, 'a', 'concluded');
    await jobIn(app, 'b', 'running');
    await scrape(app);
    const samples = await scrape(app);
    expect(samples.get('vmferry_jobs{status="running"}')).toBe(1);
    expect(samples.get('vmferry_jobs_total{type="snapshot-save",outcome="completed"}')).toBe(1);
    expect(samples.get('vmferry_snapshots')).toBe(1);
    expect(samples.get('vmferry_sqlite_size_bytes{file="database"}')).toBeGreaterThan(4096);
    expect(samples.get('vmferry_sqlite_transactions_total')).toBeGreaterThan(1);
    // There is no value before the first measurement of the event loop.
    const lag = async () => (await scrape(app)).get('nodejs_eventloop_lag_p99_seconds');
    await expect.poll(lag, { interval: 10 }).toBeGreaterThanOrEqual(0);
    for (const name of ['process_resident_memory_bytes', 'vmferry_events_total']) {
      expect([name, Number(samples.get(name)) > 0]).toEqual([name, true]);
    }
  });
});

describe('worker threads', () => {
  test('are counted with their memory, including a stopped vCPU thread', async () => {
    const service = await localService(['--paused']);
    const figure = async (name: string) => {
      const { text } = await service.call('/metrics');
      return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
    };
    expect(await figure('vmferry_workers{kind="vcpu"}')).toBe(1);
    const part = (name: string) => figure(`vmferry_worker_memory_bytes{kind="vcpu",part="${name}"}`);
    await expect.poll(() => part('heap_used')).toBeGreaterThan(2 ** 20);
    expect(await part('heap_total')).toBeGreaterThan(2 ** 20);
  });

  test('without an answer have no figures, and ended threads are not counted', async () => {
    const heap = { total_heap_size: 3, used_heap_size: 2, external_memory: 1 } as never;
    const workers = new WorkerThreads();
    const ends: (() => void)[] = [];
    const answering = (answer: Promise<never>) =>
      workers.counted({ once: (_, end) => ends.push(end), getHeapStatistics: () => answer }, 'block');
    for (const answer of [new Promise<never>(() => {}), Promise.resolve(heap)]) answering(answer);
    answering(Promise.reject(new Error('It ends.')));
    const blocks = async () => (await workers.memory()).filter(({ kind }) => kind === 'block');
    expect(await blocks()).toEqual([
      { kind: 'block', memory: null },
      { kind: 'block', memory: { heapBytes: 3, heapUsedBytes: 2, externalBytes: 1 } },
      { kind: 'block', memory: null },
    ]);
    for (const end of ends) end();
    expect(await blocks()).toEqual([]);
  });
});

describe('latencies', () => {
  test('are counted in the bucket of the first bound that they do not exceed', () => {
    const figures = new HttpFigures();
    const labels = { method: 'GET', route: '/', status: '200' };
    for (const seconds of [0, 0.001, 0.0011, 5, 6]) figures.answered(labels, seconds);
    const [series] = figures.all();
    expect(series?.counts).toEqual([2, 1, ...LATENCY_BOUNDS.slice(2, -1).map(() => 0), 1, 1]);
    expect(series?.seconds).toBeCloseTo(11.0021);
  });

  test('of ever new routes are limited in number', () => {
    const figures = new HttpFigures();
    for (let route = 0; route < 3000; route += 1)
      figures.answered({ method: 'GET', route: `/${route}`, status: '200' }, 0);
    expect(figures.all().length).toBeLessThan(2002);
    expect(figures.all().at(-1)?.labels.route).toBe('other');
  });
});
