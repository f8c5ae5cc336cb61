// A snapshot with a time to live was deleted by the wall clock. Each check limited a clock jump, but it allowed the
// same amount again at the next check, so a jump of a day deleted everything within hours. Each check also requested
// the same deletion again while the first one waited for a paused job, and requested no other deletion.

import { describe, expect, onTestFinished, test } from 'vitest';
import { ServiceTime } from '../../src/domain/snapshots/expiry.ts';
import type { FakeWorld } from '../domain/fakes/fake-domain.ts';
import { BOTH, endOf, reached, snapshotWorld } from '../domain/snapshots/world.ts';
import { openMemoryStore } from '../helpers/memory-store.ts';

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];

const FAILED = Object.assign(new Error('It failed.'), { code: 'image_io_error' });

async function worldWith(ttls: Readonly<Record<string, number | undefined>>): Promise<FakeWorld> {
  const store = openMemoryStore();
  onTestFinished(() => store.close());
  const world = snapshotWorld({ store });
  await world.domain.recovered();
  for (const [tag, ttlMs] of Object.entries(ttls)) {
    const ttlSeconds = ttlMs === undefined ? {} : { ttlSeconds: ttlMs / 1000 };
    await endOf(world, world.domain.snapshots.save({ jobId: `save-${tag}`, tag, ...BOTH, ...ttlSeconds }));
  }
  return world;
}

/** Lets time pass minute by minute, as the looks come, and the jobs that they begin end. */
async function pass({ time, blocks, domain }: FakeWorld, ms: number): Promise<readonly string[]> {
  for (let passed = 0; passed < ms; passed += MINUTE) {
    time.pass(MINUTE);
    // As many turns as a deletion takes that nothing holds.
    for (let turn = 0; turn < 40; turn += 1) await Promise.resolve();
  }
  domain.jobs.list();
  return blocks.tags('disk1');
}

describe('a time to live', () => {
  test('deletes that snapshot at its end, and no other', async () => {
    const world = await worldWith({ short: 10 * MINUTE, long: HOUR, ever: undefined });
    expect(await pass(world, 9 * MINUTE)).toEqual(['short', 'long', 'ever']);
    expect(await pass(world, 3 * MINUTE)).toEqual(['long', 'ever']);
    expect(await pass(world, HOUR)).toEqual(['ever']);
    expect(world.time.pending).toBe(0);
    expect(world.domain.jobs.list().map(({ id }) => id)).not.toContainEqual(expect.stringContaining('expired'));
    expect(world.faults).toEqual([]);
  });

  test.each([HOUR, 30 * DAY, 50 * 365 * DAY])('is not shortened by a clock that jumps %i ms forward', async (ms) => {
    const world = await worldWith({ short: 20 * MINUTE });
    await pass(world, 2 * MINUTE);
    world.time.jump(ms);
    expect(await pass(world, 15 * MINUTE)).toEqual(['short']);
    await endOf(world, world.domain.snapshots.save({ jobId: 'later', tag: 'later', ...BOTH, ttlSeconds: 600 }));
    expect(await pass(world, 5 * MINUTE)).toEqual(['later']);
    expect(await pass(world, 7 * MINUTE)).toEqual([]);
  });

  test('is unchanged after the clock has jumped and was set back', async () => {
    const world = await worldWith({ short: 20 * MINUTE });
    world.time.jump(DAY);
    await pass(world, 5 * MINUTE);
    world.time.jump(-DAY);
    expect(await pass(world, 12 * MINUTE)).toEqual(['short']);
    expect(await pass(world, 5 * MINUTE)).toEqual([]);
  });

  test('continues over restarts: jumps are subtracted, and time without a service counts for one day at most', async () => {
    const world = await worldWith({});
    const { store, time } = world;
    const from = time.now();
    const next = (aheadMs: number) => {
      time.jump(aheadMs);
      const service = new ServiceTime({ store, clock: time });
      service.look();
      service.keep();
      return service;
    };
    expect(next(0).jumpedSince(from)).toBe(0);
    expect(next(DAY).jumpedSince(from)).toBe(0);
    expect(next(30 * DAY).jumpedSince(from)).toBe(29 * DAY);
    expect(next(0).jumpedSince(from)).toBe(29 * DAY);
    expect(next(0).jumpedSince(time.now())).toBe(0);
    expect(next(-9 * DAY).jumpedSince(from)).toBe(20 * DAY);
    expect(next(-30 * DAY).jumpedSince(from)).toBe(0);
    for (const damaged of ['', '7', '[{"atMs":"x"}]', '[null]']) {
      store.identity.set('expiry-jumps', damaged);
      expect(next(0).jumpedSince(from)).toBe(0);
    }
  });
});

describe('the deletion of an expired snapshot', () => {
  test('is requested once while it waits for a paused job, and completes after that job', async () => {
    const world = await worldWith({ short: 5 * MINUTE });
    const { domain, blocks, store } = world;
    const gate = blocks.hold('verify');
    const verify = domain.snapshots.verify({ jobId: 'v', tag: 'short', ...BOTH });
    await reached(world, 'verify', 'short');
    domain.jobs.apply('v', 'pause');
    expect(await pass(world, 2 * HOUR)).toEqual(['short']);
    const asked = () => domain.jobs.list().filter(({ id }) => id.startsWith('expired-'));
    expect(asked()).toHaveLength(1);
    domain.jobs.apply('v', 'resume');
    gate.open();
    await endOf(world, verify);
    await expect.poll(() => blocks.tags(), { interval: 1 }).toEqual([]);
    expect(store.jobs.open().filter(({ outcome }) => outcome === null)).toEqual([]);
  });

  test('is retried an hour after a failure, and does not block other deletions', async () => {
    const world = await worldWith({ one: 5 * MINUTE, two: 6 * MINUTE });
    const { blocks } = world;
    const reach = blocks.reach.bind(blocks);
    const failing = { tag: 'two' };
    blocks.reach = async (task, step) => {
      await reach(task, step);
      if (step === 'delete' && task.tag === failing.tag) throw FAILED;
    };
    expect(await pass(world, 30 * MINUTE)).toEqual(['two']);
    expect(blocks.log.filter((line) => line === 'delete two')).toHaveLength(1);
    failing.tag = '';
    expect(await pass(world, HOUR)).toEqual([]);
  });

  test('is not started while the guest is elsewhere, and leaves no failed jobs', async () => {
    const world = await worldWith({ short: 5 * MINUTE });
    await world.blocks.deactivate();
    expect(await pass(world, HOUR)).toEqual(['short']);
    expect(world.domain.jobs.list().filter(({ id }) => id.startsWith('expired-'))).toEqual([]);
    await world.blocks.activate();
    expect(await pass(world, 2 * MINUTE)).toEqual([]);
    expect(world.faults).toEqual([]);
  });
});
