import { describe, expect, it } from 'vitest';
import { BOTH, endOf, expectRuns, guestEvents, putBoth, reached, snapshotWorld } from './world.ts';

const ERROR = { code: 'image_io_error', message: 'The image cannot be read.' } as const;
const A = { jobId: 'j', tag: 'a', ...BOTH };

describe('a deletion', () => {
  it('skips nodes without the tag, and the guest keeps running', async () => {
    const world = snapshotWorld();
    world.blocks.put('disk1', { tag: 'a' });
    const job = await endOf(world, world.domain.snapshots.delete(A));
    expect(job).toMatchObject({ outcome: 'completed', phase: null, result: { tag: 'a', devices: ['disk1'] } });
    expect(guestEvents(world)).toEqual([]);
    expectRuns(world);
  });

  it('of a tag that no node has completes without an effect', async () => {
    const world = snapshotWorld();
    const job = await endOf(world, world.domain.snapshots.delete(A));
    expect(job).toMatchObject({ outcome: 'completed', result: { devices: [] } });
    expect(world.blocks.log).toEqual([]);
  });

  it('reports its error', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    world.blocks.failures.set('delete', ERROR);
    const job = await endOf(world, world.domain.snapshots.delete(A));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: ERROR.code, result: null });
  });

  it('waits for a load of the same tag, and deletes it after that', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    const gate = world.blocks.hold('apply');
    const load = world.domain.snapshots.load(A);
    await reached(world, 'apply', 'a');
    const deletion = world.domain.snapshots.delete({ ...A, jobId: 'k' });
    expect(world.domain.jobs.get('k').status).toBe('created');
    gate.open();
    expect(await endOf(world, load)).toMatchObject({ outcome: 'completed' });
    expect(await endOf(world, deletion)).toMatchObject({ outcome: 'completed' });
    expect(world.blocks.tags('disk0')).toEqual([]);
  });
});

describe('a verification', () => {
  it('reports the result of the comparison, while the guest runs', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    const job = await endOf(world, world.domain.snapshots.verify(A));
    expect(job).toMatchObject({ outcome: 'completed', result: { 'had-digests': true, 'checked-bytes': 65536 } });
    expect(guestEvents(world)).toEqual([]);
  });

  it('names every damaged place', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    const places = [1, 2].map((offset) => ({
      node: 'disk1',
      ramBlock: null,
      area: 'disk' as const,
      offset,
      bytes: 3,
      fileOffset: 4,
    }));
    world.blocks.failures.set('verify', { code: 'snapshot_damaged', message: 'It is damaged.', damage: places });
    const job = await endOf(world, world.domain.snapshots.verify(A));
    const shown = { node: 'disk1', 'ram-block': null, area: 'disk', bytes: 3, 'file-offset': 4 };
    const damage = [1, 2].map((offset) => ({ ...shown, offset }));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: 'snapshot_damaged', result: { damage } });
    expectRuns(world);
  });

  it('can be paused, resumed and cancelled, and shows its progress', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    world.blocks.hold('verify');
    const job = world.domain.snapshots.verify(A);
    await reached(world, 'verify', 'a');
    const [task] = world.blocks.tasks;
    task!.current = 40;
    expect(world.domain.jobs.get('j')).toMatchObject({ currentProgress: 40, totalProgress: 100 });
    for (const verb of ['pause', 'resume', 'cancel'] as const) world.domain.jobs.apply('j', verb);
    expect(await endOf(world, job)).toMatchObject({ outcome: 'cancelled' });
    expect(task!.calls.slice(0, 3)).toEqual(['pause', 'resume', 'cancel']);
  });
});
