// Concurrent snapshots, migrations and cancels: one succeeds, the other gets an error, and no partial state remains.

import { describe, expect, test } from 'vitest';
import { combinations } from '../helpers/combinations.ts';
import { localService } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';
import { shared } from '../helpers/shared.ts';
import { type Bed, expectFailed, expectUnharmed, expectUsable, snapshotBed } from '../helpers/snapshots/bed.ts';
import { cancelAtMoments, cancelWhilePaused } from '../helpers/snapshots/cancels.ts';
import { tagsOf } from '../helpers/snapshots/qemu-image.ts';

/** A guest so large that a request certainly arrives during its save. */
const LARGE = ['--ram', '32M', '--workload', 'rate=20M,span=8M,pattern=hot,fill=random'];

/** Starts a job and pauses it during its work. @returns its id. */
async function startAndPause({ snapshots, service }: Bed, work: 'save' | 'load', tag: string): Promise<string> {
  const id = await snapshots.start(work, tag);
  await service.post(`/jobs/${id}/pause`);
  await snapshots.until(id, ({ status }) => status === 'paused');
  return id;
}

describe('a migration and a snapshot', () => {
  test('exclude each other, and the error of the later one names the earlier one', async () => {
    const bed = await snapshotBed({ flags: LARGE });
    const { service, snapshots } = bed;
    await snapshots.does('save', 'kept');
    const peer = await openPeer();
    for (const work of combinations(['load', 'save'], ['save'])) {
      const id = await startAndPause(bed, work, work === 'save' ? 'new' : 'kept');
      const refused = await service.call('/migrate', { body: { uri: peer.uri } });
      expect([refused.status, refused.json.code], refused.text).toEqual([409, 'job_in_progress']);
      expect(String(refused.json.detail)).toContain(id);
      await service.post(`/jobs/${id}/resume`);
      expect((await snapshots.ended(id)).error).toBeUndefined();
    }
    await service.set({ 'max-bandwidth': 100_000 });
    const migration = await service.start(peer.uri);
    for (const [work, tag] of [
      ['save', 'more'],
      ['load', 'kept'],
    ] as const) {
      const refused = await snapshots.ask(work, tag);
      expect([refused.status, refused.json.code], refused.text).toEqual([409, 'migration_in_progress']);
    }
    expect(await service.cancel()).toBe('cancelled');
    expect(await service.row(migration)).toMatchObject({ status: 'cancelled' });
    await expectUnharmed(bed, ['kept', 'new']);
    const target = await localService([...LARGE, '--incoming', 'tcp:127.0.0.1:0']);
    await service.set({ 'max-bandwidth': 2 ** 40 });
    expect(await service.migrate(await target.incomingUri())).toMatchObject({ status: 'completed' });
  });
});

describe('two jobs', () => {
  const common = shared(() => snapshotBed());

  test('that save under one tag lead to one snapshot', async () => {
    const bed = common();
    const [first, second] = await Promise.all([bed.snapshots.ask('save', 'one'), bed.snapshots.ask('save', 'one')]);
    const statuses = [first.status, second.status].sort();
    expect([
      [202, 202],
      [202, 409],
    ]).toContainEqual(statuses);
    const jobs = [first, second].filter(({ status }) => status === 202);
    const ends = await Promise.all(jobs.map(({ headers }) => bed.snapshots.ended(idOf(headers.location))));
    expect(ends.filter(({ error }) => error === undefined)).toHaveLength(1);
    await expectUnharmed(bed, ['one']);
    const again = await bed.snapshots.ask('save', 'one');
    expect([again.status, again.json.code], again.text).toEqual([409, 'snapshot_exists']);
  });

  test('that load concurrently run one after the other, or one is refused', async () => {
    const bed = common();
    await bed.snapshots.does('save', 'two');
    const replies = await Promise.all([bed.snapshots.ask('load', 'one'), bed.snapshots.ask('load', 'two')]);
    expect(replies.map(({ status }) => status)).toContain(202);
    for (const { status, headers, text } of replies) {
      expect([202, 409], text).toContain(status);
      if (status === 202) expect((await bed.snapshots.ended(idOf(headers.location))).error).toBeUndefined();
    }
    await expectUnharmed(bed, ['one', 'two']);
  });

  test('that load and delete one snapshot leave no partial state, in either order', async () => {
    const bed = common();
    const orders = [
      ['load', 'delete'],
      ['delete', 'load'],
    ] as const;
    for (const order of combinations(orders, [orders[0]])) {
      await bed.snapshots.does('save', 'three');
      const replies = await Promise.all(order.map((work) => bed.snapshots.ask(work, 'three')));
      const jobs = replies.filter(({ status }) => status === 202);
      expect(jobs.length).toBeGreaterThan(0);
      for (const { headers } of jobs) {
        const job = await bed.snapshots.ended(idOf(headers.location));
        // A load that waited for a delete finds no snapshot.
        if (job.error !== undefined) expectFailed(job, 'snapshot_not_found');
      }
      if (tagsOf(bed.images[0]!).includes('three')) await bed.snapshots.does('delete', 'three');
      await expectUnharmed(bed, ['one', 'two']);
    }
    await expectUsable(bed);
  });
});

describe('a cancel of a save, load, verify or delete', () => {
  /** Two disks, and the snapshot `kept` of both. */
  const bedWithKept = shared(async () => {
    const bed = await snapshotBed({ flags: LARGE, extraDisks: 1 });
    await bed.snapshots.does('save', 'kept', { vmstate: 'disk0', devices: ['disk0', 'disk1'] });
    return bed;
  });

  test('during the work leaves all or nothing', async () => {
    for (const work of combinations(['save', 'load', 'verify', 'delete'], ['save']))
      await cancelAtMoments(bedWithKept(), work, 1);
  });

  test('while the job is paused undoes the work', async () => {
    for (const work of combinations(['save', 'load'], ['load'])) await cancelWhilePaused(bedWithKept(), work);
    await expectUsable(bedWithKept(), ['disk0', 'disk1']);
  });
});

function idOf(location: unknown): string {
  return String(location).replace('/jobs/', '');
}
