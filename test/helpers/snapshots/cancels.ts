// Cancels of snapshot jobs at moments that are spread over the duration of the work.

import { expect } from 'vitest';
import { type Bed, expectFailed, expectUnharmed } from './bed.ts';
import { tagsOf } from './qemu-image.ts';
import type { Work } from './snapshot-client.ts';

const NODES = ['disk0', 'disk1'];

/** The number of cancels that took effect. */
export type CancelCounts = { cancelled: number; done: number };

/**
 * Cancels `rounds` jobs at moments spread over the time that the work takes. The bed has two disks and holds the
 * snapshot `kept`. What was cancelled has left nothing; what was done is there in full.
 */
export async function cancelAtMoments(bed: Bed, work: Work, rounds: number): Promise<CancelCounts> {
  const counts = { cancelled: 0, done: 0 };
  const usualMs = await timed(() => workOnce(bed, work));
  await tidyUp(bed, work);
  for (let round = 0; round < rounds; round += 1) {
    const tag = await prepare(bed, work);
    const id = await bed.snapshots.start(work, tag, optionsOf(work));
    await spin((usualMs * (round + 0.5)) / rounds);
    const cancelled = await bed.service.call(`/jobs/${id}/cancel`, { method: 'POST' });
    expect([200, 409], cancelled.text).toContain(cancelled.status);
    const job = await bed.snapshots.ended(id);
    counts[job.error === undefined ? 'done' : 'cancelled'] += 1;
    if (job.error !== undefined) expectFailed(job, 'job_cancelled');
    await expectAllOrNothing(bed, work, job.error === undefined);
  }
  return counts;
}

/** Pauses the work, checks that it makes no progress and that the guest is held, and cancels it. */
export async function cancelWhilePaused(bed: Bed, work: Work): Promise<void> {
  const tag = await prepare(bed, work);
  const id = await bed.snapshots.start(work, tag, optionsOf(work));
  await bed.service.post(`/jobs/${id}/pause`);
  await bed.snapshots.until(id, ({ status }) => status === 'paused');
  await bed.service.post(`/jobs/${id}/cancel`);
  expectFailed(await bed.snapshots.ended(id), 'job_cancelled');
  await expectAllOrNothing(bed, work, false);
}

function optionsOf(work: Work): Readonly<Record<string, unknown>> {
  return work === 'delete' ? { devices: NODES } : { vmstate: 'disk0', devices: NODES };
}

/** @returns the tag that the work is for. */
async function prepare({ snapshots, images }: Bed, work: Work): Promise<string> {
  if (work === 'save') return 'new';
  if (work !== 'delete') return 'kept';
  if (!tagsOf(images[0]!).includes('new')) await snapshots.does('save', 'new', optionsOf('save'));
  return 'new';
}

async function workOnce(bed: Bed, work: Work): Promise<void> {
  await bed.snapshots.does(work, await prepare(bed, work), optionsOf(work));
}

async function tidyUp({ snapshots, images }: Bed, work: Work): Promise<void> {
  const has = tagsOf(images[0]!).includes('new');
  if (work === 'save' && has) await snapshots.does('delete', 'new', optionsOf('delete'));
}

async function expectAllOrNothing(bed: Bed, work: Work, isDone: boolean): Promise<void> {
  if (work === 'load' || work === 'verify') return expectUnharmed(bed, ['kept']);
  const has = bed.images.map((path) => tagsOf(path).includes('new'));
  expect(new Set(has).size, 'the nodes differ').toBe(1);
  if (work === 'save') expect(has[0]).toBe(isDone);
  if (work === 'delete' && isDone) expect(has[0]).toBe(false);
  await expectUnharmed(bed, has[0] === true ? ['kept', 'new'] : ['kept']);
  if (has[0] === true) await bed.snapshots.does('verify', 'new', optionsOf('verify'));
  await tidyUp(bed, work);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** A time below the resolution of a timer. */
async function spin(milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) await new Promise<void>((resolve) => setImmediate(resolve));
}
