// A service with an image that is much longer than its used clusters, and kill -9 during its compaction.

import { copyFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { temporaryDirectory } from '../app.ts';
import { combinations } from '../combinations.ts';
import { type Spawned, spawnService } from '../guest-service.ts';
import { checkImage, createImage, expectClean, tagsOf } from './qemu-image.ts';
import { type Digest, type Job, Snapshots } from './snapshot-client.ts';

/** With less RAM a kill often comes after the end of a compaction, which the soak run counts. */
const [RAM] = combinations(['16M', '8M'], ['8M']) as [string];
const GUEST = ['--ram', RAM, '--vcpus', '1', '--workload'];
const WRITING = 'rate=20M,span=4M,pattern=hot,fill=random';
/** A guest with content in its RAM that it does not change. */
const IDLE = 'rate=0,fill=random';

export type LongImage = { readonly image: string; readonly kept: readonly Digest[] };

/** A service whose guest writes, on a copy of the image. */
export async function serviceOn(image: string): Promise<{ service: Spawned; path: string }> {
  const path = copyOf(image);
  return { service: await start(path, WRITING), path };
}

function copyOf(image: string): string {
  const path = join(temporaryDirectory(), 'disk0.qcow2');
  copyFileSync(image, path);
  return path;
}

/** The data directory contains the image. */
function start(path: string, workload: string): Promise<Spawned> {
  return spawnService(dirname(path), [...GUEST, workload, '--blockdev', `disk0=${path}`]);
}

/** An image with a snapshot `kept`, and the free space of three snapshots that were deleted before. */
export async function makeLongImage(): Promise<LongImage> {
  const path = createImage(join(temporaryDirectory(), 'disk0.qcow2'));
  const service = await start(path, IDLE);
  const snapshots = new Snapshots(service);
  for (const tag of ['old-1', 'old-2', 'old-3', 'kept']) await snapshots.does('save', tag);
  for (const tag of ['old-1', 'old-2', 'old-3']) await snapshots.does('delete', tag);
  const kept = await snapshots.digests('kept');
  expect(await service.end('SIGTERM')).toBe(0);
  return { image: path, kept };
}

/** Starts the compaction of all images. @returns the id of the job. */
export async function startCompaction(service: Spawned): Promise<string> {
  const reply = await service.call('/images/compact', { method: 'POST' });
  expect(reply.status, reply.text).toBe(202);
  return (reply.json as Job).id;
}

/** Kills a service when its compaction has reached this progress. @returns whether the job had not ended. */
export async function killCompaction({ image, kept }: LongImage, part: number): Promise<boolean> {
  const path = copyOf(image);
  const service = await start(path, IDLE);
  const before = statSync(path).size;
  const id = await startCompaction(service);
  await new Snapshots(service).until(id, (job) => job.status === 'concluded' || isAsFar(job, part));
  await service.end('SIGKILL');
  expect(checkImage(path)).toMatchObject({ corruptions: 0, checkErrors: 0 });
  const again = await start(path, IDLE);
  const snapshots = new Snapshots(again);
  const job = await snapshots.job(id);
  expect(job).toMatchObject({ status: 'concluded', type: 'snapshot-compact' });
  expect(await snapshots.digests('kept')).toEqual(kept);
  await snapshots.ended(await startCompaction(again));
  expect(statSync(path).size).toBeLessThan(before / 2);
  expect(await again.end('SIGTERM')).toBe(0);
  expectClean(path);
  expect(tagsOf(path)).toEqual(['kept']);
  return job.outcome === 'failed';
}

function isAsFar(job: Job, part: number): boolean {
  return job['total-progress'] > 0 && job['current-progress'] >= part * job['total-progress'];
}
