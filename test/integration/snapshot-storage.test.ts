// Disks that are full, read-only, missing or replaced during snapshot jobs: the job fails with the reason, and has no
// other effect.

import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { combinations, testInSoak } from '../helpers/combinations.ts';
import { localService } from '../helpers/guest-service.ts';
import { shared } from '../helpers/shared.ts';
import {
  expectFailed,
  expectUnharmed,
  expectUsable,
  makeImages,
  nodeFlags,
  snapshotBed,
} from '../helpers/snapshots/bed.ts';
import { describeWithMounts, fillUp, setReadOnly, smallDisk } from '../helpers/snapshots/mounts.ts';
import { Snapshots } from '../helpers/snapshots/snapshot-client.ts';
import { mortalThread } from '../helpers/workers/mortal.ts';

const MIB = 2 ** 20;
const NOISE = ['--ram', '16M', '--workload', 'rate=4M,span=2M,pattern=hot,fill=random'];
/** Amounts of free space with which a save of 16 MiB of noise fails, at its first write up to one of its last. */
const TOO_LITTLE = [0, 256 * 1024, 6 * MIB, 16 * MIB];

/** The kinds of work on a service with the snapshot `kept`. */
const WORKS = [
  ['save', 'more'],
  ['load', 'kept'],
  ['delete', 'kept'],
] as const;

describeWithMounts('a full disk', () => {
  test('fails a save at any write, and a smaller save succeeds afterwards', async () => {
    const directory = smallDisk(64);
    const bed = await snapshotBed({ flags: NOISE, imageDirectory: directory });
    await bed.snapshots.does('save', 'before');
    for (const bytes of combinations(TOO_LITTLE, [6 * MIB])) {
      const giveBack = fillUp(directory, bytes);
      expectFailed(await bed.snapshots.run('save', 'too-large'), 'no_space');
      giveBack();
      await expectUnharmed(bed, ['before']);
    }
    await bed.snapshots.does('verify', 'before');
    await bed.snapshots.does('load', 'before');
    await bed.snapshots.does('delete', 'before');
    await expectUsable(bed);
  });

  test('below one of two nodes removes the snapshot from the other', async () => {
    const [roomy, directory] = [temporaryDirectory(), smallDisk(8)];
    const [image] = makeImages(roomy, 0);
    const [second] = makeImages(directory, 0);
    const images = [image!, second!];
    const data = temporaryDirectory();
    const service = await localService([...nodeFlags(images), ...NOISE], { data, hasDisk: true });
    const bed = { service, snapshots: new Snapshots(service), images, data };
    const giveBack = fillUp(directory, 0);
    const both = { vmstate: 'disk0', devices: ['disk0', 'disk1'] };
    expectFailed(await bed.snapshots.run('save', 'on-two', both), 'no_space');
    await expectUnharmed(bed, []);
    giveBack();
    await expectUsable(bed, ['disk0', 'disk1']);
  });

  test('that is read-only allows a list and a verify, and no other work', async () => {
    const directory = smallDisk(32);
    const images = makeImages(directory, 0);
    const writable = await localService([...nodeFlags(images), ...NOISE], { hasDisk: true });
    await new Snapshots(writable).does('save', 'kept');
    await writable.app.close();
    const before = sha256(images[0]!);
    setReadOnly(directory, true);
    const data = temporaryDirectory();
    const service = await localService([...nodeFlags(images), ...NOISE], { data, hasDisk: true });
    const snapshots = new Snapshots(service);
    expect(await snapshots.tags()).toEqual(['kept']);
    await snapshots.does('verify', 'kept');
    for (const [work, tag] of WORKS) {
      const reply = await snapshots.ask(work, tag);
      expect([reply.status, reply.json.code], reply.text).toEqual([409, 'node_read_only']);
      await service.expectRunning();
    }
    expect(sha256(images[0]!)).toBe(before);
    await expectUnharmed({ service, snapshots, images, data }, ['kept']);
  });
});

describeWithMounts('a full data directory', () => {
  const common = shared(async () => {
    const data = smallDisk(8);
    const images = makeImages(temporaryDirectory(), 0);
    const service = await localService([...nodeFlags(images), ...NOISE], { data, hasDisk: true });
    return { service, snapshots: new Snapshots(service), images, data };
  });

  test('refuses a job that it cannot store, and the guest keeps running', async () => {
    const bed = common();
    await bed.snapshots.does('save', 'before');
    const giveBack = fillUp(bed.data, 0);
    const refused = await bed.snapshots.ask('save', 'unrecorded');
    expect([refused.status, refused.json.code], refused.text).toEqual([507, 'no_space']);
    await bed.service.expectRunning();
    expect(await bed.snapshots.tags()).toEqual(['before']);
    giveBack();
    await bed.snapshots.does('delete', 'before');
    await expectUsable(bed);
  });

  test('stores the end of a running job, and refuses other jobs until there is space for their ends', async () => {
    const bed = common();
    const id = await bed.snapshots.start('save', 'recorded');
    await bed.service.post(`/jobs/${id}/pause`);
    await bed.snapshots.until(id, ({ status }) => status === 'paused');
    const giveBack = fillUp(bed.data, 0);
    await bed.service.post(`/jobs/${id}/resume`);
    await bed.snapshots.ended(id);
    const { jobs } = await bed.service.get<{ jobs: readonly object[] }>('/jobs/history?limit=1');
    expect(jobs).toMatchObject([{ id, outcome: 'completed' }]);
    const refused = await bed.snapshots.ask('verify', 'recorded');
    expect([refused.status, refused.json.code], refused.text).toEqual([507, 'no_space']);
    await bed.service.expectRunning();
    expect(await bed.snapshots.tags()).toEqual(['recorded']);
    giveBack();
    await bed.snapshots.does('delete', 'recorded');
  });
});

test('an image that was removed, or replaced by another file, fails its jobs, and the file is unchanged', async () => {
  const { service, snapshots, images } = await snapshotBed();
  await snapshots.does('save', 'kept');
  const expectGone = async () => {
    for (const [work, tag] of WORKS) {
      expectFailed(await snapshots.run(work, tag), 'image_gone');
      await service.expectRunning();
    }
  };
  const other = join(temporaryDirectory(), 'other.qcow2');
  copyFileSync(images[0]!, other);
  rmSync(images[0]!);
  await expectGone();
  renameSync(other, images[0]!);
  const before = sha256(images[0]!);
  await expectGone();
  await service.app.close();
  expect(sha256(images[0]!)).toBe(before);
});

testInSoak('a disk that accepts no more data fails a save, a load and a delete, and the guest continues', async () => {
  const { workerUrl, tell } = mortalThread();
  const options = { blockThread: { workerUrl, diskStallMs: 1000 } };
  const bed = await snapshotBed({ flags: NOISE, options });
  await bed.snapshots.does('save', 'kept');
  for (const [work, tag] of WORKS) {
    await tell('stall now');
    const job = await bed.snapshots.run(work, tag);
    expectFailed(job, 'engine_crashed');
    expect(job.error).toContain('the disk of node disk0 does not answer');
    await expectUnharmed(bed, ['kept']);
    await bed.snapshots.does('load', 'kept');
  }
  await bed.snapshots.does('delete', 'kept');
  await expectUsable(bed);
});

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
