// Requests that are repeated, and requests that never stop: one job each, and answers that are true.

import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { type Service, spawnService } from '../helpers/guest-service.ts';
import { type Bed, snapshotBed } from '../helpers/snapshots/bed.ts';
import { expectClean, tagsOf } from '../helpers/snapshots/qemu-image.ts';
import { type Job, Snapshots, type Work } from '../helpers/snapshots/snapshot-client.ts';

const LARGE = ['--ram', '64M', '--workload', 'rate=20M,span=8M,pattern=hot,fill=random'];
/** So large that its progress is told many times. */
const LARGER = ['--ram', '256M', '--workload', 'rate=20M,span=8M,pattern=hot,fill=random'];
/** Requests in a second, and how many of either kind make a test. */
const POLLS_PER_SECOND = 200;

async function jobCount(service: Service): Promise<number> {
  return (await service.get<{ jobs: unknown[] }>('/jobs/history')).jobs.length;
}

test('a request that is repeated with its Idempotency-Key has the same answer and no second job', async () => {
  const { service, snapshots } = await snapshotBed({ flags: LARGE });
  const key = { 'idempotency-key': 'a-key-of-the-test' };
  const first = await snapshots.ask('save', 'one', {}, key);
  const during = await snapshots.ask('save', 'one', {}, key);
  expect(first.status, first.text).toBe(202);
  expect([202, 409]).toContain(during.status);
  await snapshots.ended(String(first.headers.location).replace('/jobs/', ''));
  const again = await snapshots.ask('save', 'one', {}, key);
  expect([again.status, again.headers.location]).toEqual([first.status, first.headers.location]);
  expect(again.json).toEqual(first.json);
  const different = await snapshots.ask('save', 'two', {}, key);
  expect([different.status, different.json.code], different.text).toEqual([422, 'idempotency_key_reused']);
  expect(await snapshots.tags()).toEqual(['one']);
  expect(await jobCount(service)).toBe(1);
});

test('an Idempotency-Key holds over kill -9 right behind the answer', async () => {
  const data = temporaryDirectory();
  const key = { 'idempotency-key': 'kept over a crash' };
  const service = await spawnService(data, LARGE);
  const first = await new Snapshots(service).ask('save', 'one', {}, key);
  await service.end('SIGKILL');
  const again = await spawnService(data, LARGE);
  const snapshots = new Snapshots(again);
  const second = await snapshots.ask('save', 'one', {}, key);
  expect([second.status, second.headers.location, second.json]).toEqual([202, first.headers.location, first.json]);
  expect(await jobCount(again)).toBe(1);
  const job = await snapshots.ended(String(first.headers.location).replace('/jobs/', ''));
  expect(tagsOf(`${data}/disk0.qcow2`)).toEqual(job.error === undefined ? ['one'] : []);
  await snapshots.does('save', 'two');
  expect(await again.end('SIGTERM')).toBe(0);
  expectClean(`${data}/disk0.qcow2`);
});

test('the progress of a save, a load and a verify is seen to grow at every stop, and ends at its total', async () => {
  const bed = await snapshotBed({ flags: LARGER });
  for (const work of ['save', 'load', 'verify'] as const) {
    const { end, stops } = await stopOnTheWay(bed, work);
    expect(end.error, work).toBeUndefined();
    expect(end['current-progress'], work).toBe(end['total-progress']);
    const grown = stops.map((job) => job['current-progress']);
    expect(grown, work).toEqual(grown.toSorted((a, b) => a - b));
    expect(stops.filter(isHalfway).length, `${work}: ${grown.join()}`).toBeGreaterThan(0);
  }
});

/** Pauses a job again and again: a pause makes a moment stand still, so its middle is seen however fast the machine is. */
async function stopOnTheWay({ service, snapshots }: Bed, work: Work): Promise<{ end: Job; stops: readonly Job[] }> {
  const id = await snapshots.start(work, 'one');
  const stops: Job[] = [];
  while ((await service.call(`/jobs/${id}/pause`, { method: 'POST' })).status === 200) {
    const job = await snapshots.until(id, ({ status }) => ['paused', 'concluded'].includes(status));
    if (job.status === 'concluded') break;
    stops.push(job);
    await service.post(`/jobs/${id}/resume`);
    const before = job['current-progress'];
    await snapshots.until(id, (now) => now.status === 'concluded' || now['current-progress'] > before);
  }
  return { end: await snapshots.ended(id), stops };
}

test(`${POLLS_PER_SECOND} requests in a second see no job go back, and disturb nothing`, async () => {
  const service = await spawnService(temporaryDirectory(), LARGE);
  const snapshots = new Snapshots(service);
  let isOver = false;
  const seen: Sight[] = [];
  const polled = poll(service, () => isOver, seen);
  const ids: string[] = [];
  for (const tag of ['a', 'b', 'c']) ids.push((await snapshots.does('save', tag)).id);
  ids.push((await snapshots.does('load', 'b')).id);
  isOver = true;
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
});

/** A job as one answer showed it; times are milliseconds. */
type Sight = { readonly askedAt: number; readonly answeredAt: number; readonly job: Job };

/** Asks both questions in turn at the rate, until it is over and all are answered. */
async function poll(
  service: Service,
  isOver: () => boolean,
  seen: Sight[],
): Promise<{ asked: number; seconds: number }> {
  const pending: Promise<void>[] = [];
  const from = performance.now();
  while (!isOver()) {
    const due = Math.floor(((performance.now() - from) * POLLS_PER_SECOND) / 1000);
    for (let asked = pending.length; asked < due; asked += 1) {
      pending.push(asked % 2 === 0 ? askJobs(service, seen) : askMigrate(service));
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
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

/** Answers overtake each other; but who asked after an answer was there sees at least what that showed. */
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
