// The duration of a job is measured by a monotonic clock, which ends with its process. The next start ended a job
// that kill -9 had interrupted without a duration, or with the duration that was last stored in its row.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { type Service, spawnService } from '../helpers/guest-service.ts';
import { createImage } from '../helpers/snapshots/qemu-image.ts';
import { type Job, Snapshots, type Work } from '../helpers/snapshots/snapshot-client.ts';

const GUEST = ['--ram', '64M', '--workload', 'rate=0,fill=random', '--vcpus', '1'];

type Row = Job & {
  readonly 'started-at': string | null;
  readonly 'ended-at': string | null;
  readonly duration: number | null;
};

function historyOf(service: Service): Promise<{ readonly jobs: readonly Row[] }> {
  return service.get('/jobs/history?limit=10');
}

/** A service on a new image that has a snapshot `kept`. */
async function serviceOnImage() {
  const data = temporaryDirectory();
  const image = createImage(join(data, 'disk0.qcow2'), '256M');
  const start = () => spawnService(data, [...GUEST, '--blockdev', `disk0=${image}`]);
  const service = await start();
  const snapshots = new Snapshots(service);
  await snapshots.does('save', 'kept');
  return { service, snapshots, start };
}

/** The job stands still in the middle of its work, so that it cannot end before the kill. */
async function pausedInTheMiddle(snapshots: Snapshots, work: Work, tag: string): Promise<string> {
  const id = await snapshots.start(work, tag);
  await snapshots.until(id, (job) => job['current-progress'] > 0);
  await snapshots.service.post(`/jobs/${id}/pause`);
  await snapshots.until(id, ({ status }) => status === 'paused');
  return id;
}

/** Expects the row that the restart has ended, with the duration from its start to the end that is shown. */
async function expectFailedWithDuration(again: Service, seen: Row): Promise<void> {
  const row = (await historyOf(again)).jobs.find(({ id }) => id === seen.id)!;
  expect(row).toMatchObject({ status: 'concluded', outcome: 'failed', 'error-code': 'service_stopped' });
  expect(row['started-at']).toBe(seen['started-at']);
  expect(row.duration).toBe(Date.parse(row['ended-at']!) - Date.parse(row['started-at']!));
  expect(row.duration).toBeGreaterThanOrEqual(seen.duration!);
  expect(await again.get(`/jobs/${seen.id}`)).toMatchObject({ outcome: 'failed', duration: row.duration });
}

const WORKS = [
  ['save', 'new'],
  ['verify', 'kept'],
] as const;

// `npm test` has a job that ran together with one that waited, below.
test.each(combinations(WORKS, []))(
  'a %s that kill -9 interrupts is failed and has a duration after the next start',
  async (work, tag) => {
    const { service, snapshots, start } = await serviceOnImage();
    const id = await pausedInTheMiddle(snapshots, work, tag);
    const seen = await service.get<Row>(`/jobs/${id}`);
    expect(seen.duration).toBeGreaterThan(0);
    await service.end('SIGKILL');
    const again = await start();
    await expectFailedWithDuration(again, seen);
  },
);

test('a job that kill -9 ends before it starts has an end and no duration; the one it waited for has a duration', async () => {
  const { service, snapshots, start } = await serviceOnImage();
  const first = await pausedInTheMiddle(snapshots, 'verify', 'kept');
  const second = await snapshots.start('delete', 'kept');
  expect(await service.get(`/jobs/${second}`)).toMatchObject({ 'waiting-for': [first] });
  const seen = await service.get<Row>(`/jobs/${first}`);
  expect(seen.duration).toBeGreaterThan(0);
  await service.end('SIGKILL');
  const again = await start();
  await expectFailedWithDuration(again, seen);
  const { jobs } = await historyOf(again);
  const waited = jobs.find(({ id }) => id === second);
  expect(waited).toMatchObject({ outcome: 'failed', 'error-code': 'service_stopped', duration: null });
  expect(waited).toMatchObject({ 'started-at': null, 'ended-at': expect.any(String) });
  expect(await new Snapshots(again).tags()).toEqual(['kept']);
});
