import { describe, expect, it } from 'vitest';
import { MemoryBlocks } from '../../helpers/memory-blocks.ts';
import { refusalOf } from '../fakes/refusal.ts';
import { endOf, expectRuns, guestEvents, NODES, reached, snapshotWorld } from './world.ts';

const ALL = { jobId: 'j', devices: [...NODES] };

describe('a compaction', () => {
  it('reports the result for each image, while the guest runs', async () => {
    const world = snapshotWorld();
    const job = await endOf(world, world.domain.snapshots.compact(ALL));
    const sizes = {
      'file-size-before': 2 ** 30,
      'file-size': 2 ** 20,
      'disk-usage-before': 2 ** 21,
      'disk-usage': 2 ** 20,
    };
    expect(job).toMatchObject({
      type: 'snapshot-compact',
      outcome: 'completed',
      phase: null,
      result: { nodes: NODES.map((name) => ({ name, ...sizes, 'moved-bytes': 2 ** 19 })) },
    });
    expect(guestEvents(world)).toEqual([]);
    expectRuns(world);
  });

  it('can be paused and cancelled', async () => {
    const world = snapshotWorld();
    world.blocks.hold('compact');
    const job = world.domain.snapshots.compact(ALL);
    await reached(world, 'compact', NODES.join());
    world.domain.jobs.apply('j', 'pause');
    world.domain.jobs.apply('j', 'resume');
    world.domain.jobs.apply('j', 'cancel');
    expect(await endOf(world, job)).toMatchObject({ outcome: 'cancelled', result: null });
    expect(world.blocks.tasks[0]?.calls.slice(0, 3)).toEqual(['pause', 'resume', 'cancel']);
    expectRuns(world);
  });

  it('reports its error', async () => {
    const world = snapshotWorld();
    world.blocks.failures.set('compact', { code: 'no_space', message: 'No space is left.' });
    const job = await endOf(world, world.domain.snapshots.compact(ALL));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: 'no_space' });
  });

  it('waits for a save, which needs the same nodes', async () => {
    const world = snapshotWorld();
    const gate = world.blocks.hold('digests');
    world.domain.snapshots.save({ jobId: 's', tag: 'a', vmState: 'disk0', devices: [...NODES] });
    await reached(world, 'digests', 'a');
    const job = world.domain.snapshots.compact(ALL);
    expect(world.domain.jobs.get('j').status).toBe('created');
    gate.open();
    expect(await endOf(world, job)).toMatchObject({ outcome: 'completed' });
  });

  it('is refused for an unknown node and for a read-only node', () => {
    const world = snapshotWorld();
    expect(refusalOf(() => world.domain.snapshots.compact({ jobId: 'j', devices: ['disk9'] }))).toMatchObject({
      code: 'node_not_found',
    });
    const readOnly = snapshotWorld({ blocks: new MemoryBlocks([{ name: 'rom', isReadOnly: true }]) });
    expect(refusalOf(() => readOnly.domain.snapshots.compact({ jobId: 'j', devices: ['rom'] }))).toMatchObject({
      code: 'node_read_only',
    });
    expect(world.domain.jobs.list()).toEqual([]);
  });

  it('is refused while the images are inactive', () => {
    const world = snapshotWorld();
    world.blocks.isActive = false;
    expect(refusalOf(() => world.domain.snapshots.compact(ALL))).toMatchObject({ code: 'node_inactive' });
  });
});
