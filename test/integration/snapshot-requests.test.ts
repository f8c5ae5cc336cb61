// Repeated requests and frequent polls: one job for each key, and consistent answers.

import { expect, test } from 'vitest';
import { type Reply, temporaryDirectory } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { type Service, type Spawned, spawnService } from '../helpers/guest-service.ts';
import { shared, whenOver } from '../helpers/shared.ts';
import { type Bed, snapshotBed } from '../helpers/snapshots/bed.ts';
import { expectClean, tagsOf } from '../helpers/snapshots/qemu-image.ts';
import { type Job, Snapshots, type Work } from '../helpers/snapshots/snapshot-client.ts';

const LARGE = ['--ram', '32M', '--workload', 'rate=20M,span=8M,pattern=hot,fill=random'];
/** A guest so large that its jobs can be paused in the middle. */
const LARGER = ['--ram', '64M', '--workload', 'rate=20M,span=8M,pattern=hot,fill=random'];
/** The number of pauses of a job. */
const STOPS = 4;
/** Requests per second, and the number of requests of each kind in a test. */
const POLLS_PER_SECOND = 200;

async function jobCount(service: Service): Promise<number> {
  return (await service.get<{ jobs: unknown[] }>('/jobs/history')).jobs.length;
}

const KEY = { 'idempotency-key': 'kept over a crash' };

function idOf({ headers }: Reply): string {
  return String(headers.location).replace('/jobs/', '');
}

function imageOf({ data }: Spawned): string {
  return `${data}/disk0.qcow2`;
}

const local = shared(() => snapshotBed({ flags: LARGER }));

test('a repeated request with the same Idempotency-Key has the same answer and no second job', async () => {
  const { service, snapshots } = local();
  const key = { 'idempotency-key': 'a-key-of-the-test' };
  const first = await snapshots.ask('save', 'one', {}, key);
  const during = await snapshots.ask('save', 'one', {}, key);
  expect(first.status, first.text).toBe(202);
  expect([202, 409]).toContain(during.status);
  await snapshots.ended(idOf(first));
  const again = await snapshots.ask('save', 'one', {}, key);
  expect([again.status, again.headers.location]).toEqual([first.status, first.headers.location]);
  expect(again.json).toEqual(first.json);
  const different = await snapshots.ask('save', 'two', {}, key);
  expect([different.status, different.json.code], different.text).toEqual([422, 'idempotency_key_reused']);
  expect(await snapshots.tags()).toEqual(['one']);
  expect(await jobCount(service)).toBe(1);
});

test('the progress of a save, a load and a verify increases at each stop, and ends at its total', async () => {
  const bed = local();
  for (const work of combinations(['save', 'load', 'verify'], ['save'])) {
    const { end, stops } = await stopOnTheWay(bed, work);
    expect(end.error, work).toBeUndefined();
    expect(end['current-progress'], work).toBe(end['total-progress']);
    const grown = stops.map((job) => job['current-progress']);
    expect(grown, work).toEqual(grown.toSorted((a, b) => a - b));
    expect(stops.filter(isHalfway).length, `${work}: ${grown.join()}`).toBeGreaterThan(0);
  }
});

/**
 * Pauses a job again and again, each time as soon as it has gone on: a pause makes a moment stand still, so its middle is
 * seen however fast the machine is. Its figures are looked at in this process, without the wait of a poll.
 */
async function stopOnTheWay({ service, snapshots }: Bed, work: Work): Promise<{ end: Job; stops: readonly Job[] }> {
  const { jobs } = service.app.domain;
  const id = await snapshots.start(work, 'two');
  const stops: Job[] = [];
  while (stops.length < STOPS) {
    const before = stops.at(-1)?.['current-progress'] ?? 0;
    await until(() => jobs.get(id).currentProgress > before || jobs.get(id).endedAt !== null);
    await service.post(`/jobs/${id}/pause`);
    stops.push(await snapshots.until(id, ({ status }) => status === 'paused'));
    await service.post(`/jobs/${id}/resume`);
  }
  return { end: await snapshots.ended(id), stops };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A service that was killed directly after its answer to a request with a key, and was started again. */
const revived = shared(async () => {
  const data = temporaryDirectory();
  const service = await spawnService(data, LARGE);
  const first = await new Snapshots(service).ask('save', 'one', {}, KEY);
  await service.end('SIGKILL');
  return { service: await spawnService(data, LARGE), first };
});

test('an Idempotency-Key is known after kill -9 directly after the answer', async () => {
  const { service, first } = revived();
  const snapshots = new Snapshots(service);
  const second = await snapshots.ask('save', 'one', {}, KEY);
  expect([second.status, second.headers.location, second.json]).toEqual([202, first.headers.location, first.json]);
  expect(await jobCount(service)).toBe(1);
  const job = await snapshots.ended(idOf(first));
  expect(tagsOf(imageOf(service))).toEqual(job.error === undefined ? ['one'] : []);
});

test(`${POLLS_PER_SECOND} requests per second see no job go back, and disturb nothing`, async () => {
  const { service } = revived();
  const snapshots = new Snapshots(service);
  const seen: Sight[] = [];
  const over = Promise.withResolvers<void>();
  const polled = poll(service, over.promise, seen);
  const ids: string[] = [];
  for (const tag of combinations(['b', 'a'], ['a'])) ids.push((await snapshots.does('save', tag)).id);
  ids.push((await snapshots.does('load', 'a')).id);
  over.resolve();
  const { asked, seconds } = await polled;
  expect(asked).toBeGreaterThanOrEqual(Math.floor(0.8 * POLLS_PER_SECOND * seconds));
  for (const id of ids) {
    const sights = seen.filter(({ job }) => job.id === id);
    expect(sights.length).toBeGreaterThan(0);
    expectNeverBack(sights);
    const { status, ...end } = await snapshots.job(id);
    expect([status, end['current-progress']]).toEqual(['concluded', end['total-progress']]);
  }
  await service.expectRunning();
  expect(await service.end('SIGTERM')).toBe(0);
  expectClean(imageOf(service));
});

/** A job in one answer; times are in milliseconds. */
type Sight = { readonly askedAt: number; readonly answeredAt: number; readonly job: Job };

/** Sends both requests alternately at the rate, until the end, and waits for all answers. */
async function poll(service: Service, over: Promise<void>, seen: Sight[]): Promise<{ asked: number; seconds: number }> {
  const pending: Promise<void>[] = [];
  const from = performance.now();
  const pace = setInterval(() => {
    const due = Math.floor(((performance.now() - from) * POLLS_PER_SECOND) / 1000);
    for (let asked = pending.length; asked < due; asked += 1) {
      pending.push(asked % 2 === 0 ? askJobs(service, seen) : askMigrate(service));
    }
  }, 1000 / POLLS_PER_SECOND);
  whenOver(() => clearInterval(pace));
  await over;
  clearInterval(pace);
  const seconds = (performance.now() - from) / 1000;
  await Promise.all(pending);
  return { asked: pending.length, seconds };
}

async function askJobs(service: Service, seen: Sight[]): Promise<void> {
  const askedAt = performance.now();
  const { jobs } = await service.get<{ jobs: Job[] }>('/jobs');
  const answeredAt = performance.now();
  for (const job of jobs) seen.push({ askedAt, answeredAt, job });
}

async function askMigrate(service: Service): Promise<void> {
  expect(await service.query()).toEqual({});
}

function isHalfway(job: Job): boolean {
  return job['current-progress'] > 0 && job['current-progress'] < job['total-progress'];
}

/** Answers may overtake each other, but a request after an answer gets at least the progress of that answer. */
function expectNeverBack(sights: readonly Sight[]): void {
  for (const { askedAt, job } of sights) {
    expect(job.error).toBeUndefined();
    expect(job['current-progress']).toBeLessThanOrEqual(job['total-progress']);
    const before = sights
      .filter(({ answeredAt }) => answeredAt < askedAt)
      .map((sight) => sight.job['current-progress']);
    expect(job['current-progress']).toBeGreaterThanOrEqual(Math.max(0, ...before));
  }
}
