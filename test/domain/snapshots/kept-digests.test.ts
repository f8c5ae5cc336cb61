import { describe, expect, it } from 'vitest';
import { DIGESTS_MS_MAX } from '../../../src/domain/snapshots/verification.ts';
import { putBoth, reached, snapshotWorld } from './world.ts';

const HOUR_MS = 3_600_000;

/** Requests the digests of a tag. */
function digestsOf({ domain }: ReturnType<typeof snapshotWorld>, tag: string) {
  return domain.snapshots.digests(domain.snapshots.get(tag));
}

describe('the digests of a snapshot', () => {
  it('are read once for any number of requests, until the list of snapshots changes', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    const [first, second] = await Promise.all([digestsOf(world, 'a'), digestsOf(world, 'a')]);
    expect(first.map(({ node, fault }) => [node, fault])).toEqual([
      ['disk0', null],
      ['disk1', null],
    ]);
    expect(first[0]?.digests?.disk).toBe('ab'.repeat(32));
    expect([second, await digestsOf(world, 'a')]).toEqual([first, first]);
    expect(world.blocks.log).toEqual(['read-digests a']);
    putBoth(world, 'b');
    await digestsOf(world, 'a');
    expect(world.blocks.log).toEqual(['read-digests a', 'read-digests a']);
  });

  it('are not read if none were stored', async () => {
    const world = snapshotWorld();
    world.blocks.put('disk0', { tag: 'a', vmStateBytes: 1, hasDigests: false });
    expect(await digestsOf(world, 'a')).toEqual([{ node: 'disk0', digests: null, fault: null }]);
    expect(world.blocks.log).toEqual([]);
  });

  it('are reported as damaged with the reason, and are read again at the next request', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    world.blocks.kept.set('disk1', {
      node: 'disk1',
      digests: null,
      fault: 'The digests cannot be used, it is cut off',
    });
    expect(await digestsOf(world, 'a')).toMatchObject([
      { node: 'disk0', fault: null },
      { node: 'disk1', digests: null, fault: 'The digests cannot be used, it is cut off' },
    ]);
    world.blocks.kept.clear();
    expect((await digestsOf(world, 'a'))[1]?.fault).toBeNull();
  });

  it('are reported as unreadable', async () => {
    const world = snapshotWorld();
    world.blocks.put('disk0', { tag: 'a' });
    world.blocks.put('disk1', { tag: 'a', hasDigests: false });
    world.blocks.failures.set('read-digests', { code: 'engine_crashed', message: 'the block thread died: of a fault' });
    expect(await digestsOf(world, 'a')).toEqual([
      { node: 'disk0', digests: null, fault: 'The digests could not be read: the block thread died: of a fault' },
      { node: 'disk1', digests: null, fault: null },
    ]);
  });

  it('do not delay a request, and are available to a later one', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    const gate = world.blocks.hold('read-digests');
    const asked = digestsOf(world, 'a');
    await reached(world, 'read-digests', 'a');
    world.time.pass(DIGESTS_MS_MAX);
    expect((await asked).map(({ digests, fault }) => [digests, fault])).toEqual(
      Array(2).fill([null, `The digests could not be read within ${DIGESTS_MS_MAX} ms.`]),
    );
    gate.open();
    expect((await digestsOf(world, 'a')).map(({ fault }) => fault)).toEqual([null, null]);
    expect(world.blocks.log).toEqual(['read-digests a']);
    // No timer is left.
    const { pending } = world.time;
    world.time.pass(HOUR_MS);
    expect(world.time.pending).toBe(pending);
  });

  it('of several snapshots are read sequentially', async () => {
    const world = snapshotWorld();
    putBoth(world, 'a');
    putBoth(world, 'b');
    const gate = world.blocks.hold('read-digests');
    const both = [digestsOf(world, 'a'), digestsOf(world, 'b')];
    await reached(world, 'read-digests', 'a');
    expect(world.blocks.log).toEqual(['read-digests a']);
    gate.open();
    await Promise.all(both);
    expect(world.blocks.log).toEqual(['read-digests a', 'read-digests b']);
  });
});
