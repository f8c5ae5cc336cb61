import { describe, expect, it } from 'vitest';
import { nameOfNow } from '../../../src/domain/snapshots/snapshot-use-cases.ts';
import { MemoryBlocks } from '../../helpers/memory-blocks.ts';
import { rejectionOf } from '../fakes/refusal.ts';
import { expectRuns, putBoth, snapshotWorld } from './world.ts';

describe('savevm', () => {
  it('saves all disks, resolves at the end, and leaves no job', async () => {
    const world = snapshotWorld();
    expect(await world.domain.snapshots.saveVm('a')).toBe('a');
    expect([world.blocks.tags('disk0'), world.blocks.tags('disk1')]).toEqual([['a'], ['a']]);
    expect(world.domain.jobs.list()).toEqual([]);
    expect(world.domain.jobs.history({ limit: 9, cursor: null }).items).toMatchObject([{ outcome: 'completed' }]);
    expectRuns(world);
  });

  it('generates a name from the date and time', async () => {
    const world = snapshotWorld();
    const name = await world.domain.snapshots.saveVm(null);
    expect(name).toMatch(/^vm-\d{14}$/);
    expect(name).toBe(nameOfNow(world.time.now()));
    expect(nameOfNow(new Date(2026, 0, 2, 3, 4, 5).getTime())).toBe('vm-20260102030405');
  });

  it('replaces a snapshot of the same name when the new one is complete', async () => {
    const world = snapshotWorld();
    putBoth(world, 'b');
    world.blocks.put('disk1', { tag: 'a' });
    await world.domain.snapshots.saveVm('a');
    const { tag } = world.blocks.saves[0]!;
    expect(tag).not.toBe('a');
    expect(world.blocks.log).toEqual([`save ${tag}`, `digests ${tag}`, 'rename a']);
    expect([world.blocks.tags('disk0'), world.blocks.tags('disk1')]).toEqual([
      ['b', 'a'],
      ['b', 'a'],
    ]);
    expect(world.domain.jobs.list()).toEqual([]);
    expectRuns(world);
  });

  it.each(['save', 'digests', 'rename'] as const)('that fails at %s keeps the snapshot of that name', async (step) => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    const before = world.blocks.nodes().map(({ snapshots }) => snapshots);
    world.blocks.failures.set(step, { code: 'no_space', message: 'No space is left.' });
    expect(await rejectionOf(world.domain.snapshots.saveVm('a'))).toMatchObject({ code: 'no_space' });
    expect(world.blocks.nodes().map(({ snapshots }) => snapshots)).toEqual(before);
    expect(world.domain.jobs.list()).toEqual([]);
    expectRuns(world);
  });

  it('that is refused keeps the snapshot of that name', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    world.domain.migration.start({ uri: 'tcp:h:1' });
    expect(await rejectionOf(world.domain.snapshots.saveVm('a'))).toMatchObject({ code: 'migration_in_progress' });
    expect(await rejectionOf(world.domain.snapshots.saveVm('1'))).toMatchObject({ code: 'invalid_tag' });
    expect(world.blocks.tags('disk0')).toEqual(['a']);
    const readOnly = snapshotWorld({ blocks: new MemoryBlocks([{ name: 'rom', isReadOnly: true }]) });
    expect(await rejectionOf(readOnly.domain.snapshots.saveVm('a'))).toMatchObject({ code: 'node_read_only' });
  });

  it('that fails reports the reason, and leaves no job', async () => {
    const world = snapshotWorld();
    world.blocks.failures.set('save', { code: 'no_space', message: 'No space is left.' });
    const error = await rejectionOf(world.domain.snapshots.saveVm('a'));
    expect(error).toMatchObject({ code: 'no_space', message: 'No space is left.' });
    expect(world.domain.jobs.list()).toEqual([]);
    expectRuns(world);
  });
});

describe('loadvm and delvm', () => {
  it('work on all disks, and an unknown tag can be deleted but not loaded', async () => {
    const world = snapshotWorld();
    const { snapshots } = world.domain;
    putBoth(world, 'a');
    world.blocks.put('disk0', { tag: 'half', vmStateBytes: 1 });
    await snapshots.loadVm('a');
    expect([...world.blocks.disks.values()]).toEqual(['a', 'a']);
    for (const name of ['half', 'none']) {
      expect(await rejectionOf(snapshots.loadVm(name))).toMatchObject({ code: 'snapshot_not_found' });
      await snapshots.deleteVm(name);
    }
    expect(world.blocks.tags('disk0')).toEqual(['a']);
    expect(world.domain.jobs.list()).toEqual([]);
    expectRuns(world);
  });

  it('report a code that only migrations have as a failed job', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    world.machine.refusal = new Error('other vCPUs');
    const error = await rejectionOf(world.domain.snapshots.loadVm('a'));
    expect(error).toMatchObject({ code: 'job_failed', message: expect.stringContaining('other vCPUs') });
  });
});

describe('info snapshots', () => {
  it('lists the snapshots that all disks have apart from the others, oldest first', () => {
    const world = snapshotWorld();
    for (const [tag, dateMs] of Object.entries({ b: 2, a: 1 })) {
      world.blocks.put('disk0', { tag, dateMs });
      world.blocks.put('disk1', { tag, dateMs });
    }
    world.blocks.put('disk1', { tag: 'half' });
    const { all, partial } = world.domain.snapshots.listVm();
    expect([all.map(({ tag }) => tag), partial.map(({ tag }) => tag)]).toEqual([['a', 'b'], ['half']]);
  });
});
