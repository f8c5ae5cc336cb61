// Requests that are repeated, and requests that never stop: one job each, and answers that are true.

import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { type Service, spawnService } from '../helpers/guest-service.ts';
import { snapshotBed } from '../helpers/snapshots/bed.ts';
import { expectClean, tagsOf } from '../helpers/snapshots/qemu-image.ts';
import { type Job, Snapshots } from '../helpers/snapshots/snapshot-client.ts';

const LARGE = ['--ram', '96M', '--workload', 'rate=20M,span=8M,pattern=hot,fill=random'];
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
  expectClean(`${data}/disk0.qcow2`);
  expect(await again.end('SIGTERM')).toBe(0);
});

test(`${POLLS_PER_SECOND} requests in a second see every job grow and end, and disturb nothing`, async () => {
  const service = await spawnService(temporaryDirectory(), LARGE);
  const snapshots = new Snapshots(service);
  let isOver = false;
  const seen: Job[] = [];
  const polled = poll(service, () => isOver, seen);
  for (const tag of ['a', 'b', 'c']) await snapshots.does('save', tag);
  await snapshots.does('load', 'b');
  isOver = true;
  const asked = await polled;
  expect(asked).toBeGreaterThan(20);
  for (const id of new Set(seen.map((job) => job.id))) expectGrows(seen.filter((job) => job.id === id));
  await service.expectRunning();
  expect(await service.end('SIGTERM')).toBe(0);
});

/** Asks both questions in turn at the rate, until it is over. @returns how many questions were asked. */
async function poll(service: Service, isOver: () => boolean, seen: Job[]): Promise<number> {
  const pending: Promise<void>[] = [];
  const from = performance.now();
  while (!isOver()) {
    const due = Math.floor(((performance.now() - from) * POLLS_PER_SECOND) / 1000);
    for (let asked = pending.length; asked < due; asked += 1) {
      pending.push(asked % 2 === 0 ? askJobs(service, seen) : askMigrate(service));
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await Promise.all(pending);
  return pending.length;
}

async function askJobs(service: Service, seen: Job[]): Promise<void> {
  const { jobs } = await service.get<{ jobs: Job[] }>('/jobs');
  seen.push(...jobs);
}

async function askMigrate(service: Service): Promise<void> {
  expect(await service.query()).toEqual({});
}

/** As the answers came in: requests overtake each other by a few at most, so only the ends are compared. */
function expectGrows(states: readonly Job[]): void {
  for (const job of states) expect(job['current-progress']).toBeLessThanOrEqual(job['total-progress']);
  expect(states.every(({ error }) => error === undefined)).toBe(true);
}
