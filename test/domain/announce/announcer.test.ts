import { describe, expect, it } from 'vitest';
import { ANNOUNCEMENTS_MAX, type AnnounceSchedule, ROUNDS_KEPT } from '../../../src/domain/announce/announcer.ts';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { type FakeWorld, fakeDomain } from '../fakes/fake-domain.ts';
import { FakeMachine } from '../fakes/fake-machine.ts';
import { refusalOf } from '../fakes/refusal.ts';

const DEFAULTS: AnnounceSchedule = { initial: 50, max: 550, rounds: 5, step: 100 };
const LONG_MS = 100_000;

/** The times of the rounds, in milliseconds since the creation of this world. */
function timesOf({ domain, time }: FakeWorld, id: string): number[] {
  const began = time.now() - time.monotonic();
  return domain.announcements.get(id).rounds.map(({ at }) => at - began);
}

const rows = ({ domain }: FakeWorld) => domain.announcements.list({ limit: 100, cursor: null }).items;

describe('the schedule of an announcement', () => {
  // The times of QEMU 10.0 with the same arguments, from its trace points.
  it.each([
    ['the defaults', {}, [0, 50, 200, 450, 800]],
    ['more rounds: no delay is above max', { rounds: 8 }, [0, 50, 200, 450, 800, 1250, 1800, 2350]],
    ['one round', { rounds: 1 }, [0]],
    ['none', { rounds: 0 }, []],
    ['rounds that overflow 32 bits', { rounds: 2 ** 32 + 1 }, [0]],
    ['a negative delay is max', { initial: -50, max: 100, rounds: 4, step: 10 }, [0, 100, 200, 300]],
    ['a negative max is the shortest delay of a timer', { max: -5, rounds: 3 }, [0, 1, 2]],
    ['64-bit values', { initial: 2n ** 62n, max: 60, rounds: 3, step: 2n ** 62n }, [0, 60, 120]],
  ])('equals that of QEMU: %s', (_, change, times) => {
    const world = fakeDomain();
    world.domain.announcements.announce({ ...DEFAULTS, ...change });
    world.time.pass(LONG_MS);
    expect(timesOf(world, '1')).toEqual(times);
    expect(world.domain.announcements.get('1')).toMatchObject({ outcome: 'completed', roundsMade: times.length });
    expect(world.time.pending).toBe(0);
  });

  it('with negative rounds continues until it is replaced by its id, and only a part of it is stored', () => {
    const world = fakeDomain();
    world.domain.announcements.announce({ ...DEFAULTS, initial: 10, max: 10, rounds: -1 });
    world.time.pass(10 * ROUNDS_KEPT + 995);
    expect(timesOf(world, '1')).toHaveLength(ROUNDS_KEPT);
    world.domain.announcements.announce({ ...DEFAULTS, rounds: 0 });
    expect(world.domain.announcements.get('1')).toMatchObject({ outcome: 'replaced', roundsMade: ROUNDS_KEPT + 100 });
    expect(world.time.pending).toBe(0);
    expect(world.notes.filter(({ message }) => message.startsWith('the guest was announced'))).toHaveLength(
      ROUNDS_KEPT,
    );
  });
});

describe('announcements by command', () => {
  it('with one id follow the newest schedule only, and other ids continue', () => {
    const world = fakeDomain();
    const { announcements } = world.domain;
    announcements.announce({ ...DEFAULTS, id: 'a', interfaces: ['vn2', 'nowhere'] });
    announcements.announce({ ...DEFAULTS, id: 'b', rounds: 2 });
    world.time.pass(100);
    announcements.announce({ ...DEFAULTS, id: 'a', initial: 300, rounds: 2 });
    world.time.pass(LONG_MS);
    expect(rows(world).map(({ name, outcome, roundsMade }) => [name, outcome, roundsMade])).toEqual([
      ['a', 'completed', 2],
      ['b', 'completed', 2],
      ['a', 'replaced', 2],
    ]);
    expect(timesOf(world, '3')).toEqual([100, 400]);
    expect(announcements.get('1').interfaces).toEqual(['vn2', 'nowhere']);
  });

  it('without an id have the empty id, as in QEMU', () => {
    const world = fakeDomain();
    world.domain.announcements.announce(DEFAULTS);
    world.domain.announcements.announce({ ...DEFAULTS, id: '' });
    expect(rows(world).map(({ outcome }) => outcome)).toEqual(['running', 'replaced']);
  });

  it('beyond the limit are refused, except for ids of announcements in progress', () => {
    const world = fakeDomain();
    const { announcements } = world.domain;
    for (let id = 0; id < ANNOUNCEMENTS_MAX; id += 1) announcements.announce({ ...DEFAULTS, id: `id-${id}` });
    const refused = refusalOf(() => announcements.announce({ ...DEFAULTS, id: 'one more' }));
    expect(refused).toMatchObject({ code: 'too_many_announcements' });
    expect(world.time.pending).toBe(ANNOUNCEMENTS_MAX);
    announcements.announce({ ...DEFAULTS, id: 'id-0' });
    expect(rows(world)).toHaveLength(ANNOUNCEMENTS_MAX + 1);
  });

  it('log each round, and that no frame was sent', () => {
    const world = fakeDomain();
    world.domain.announcements.announce({ ...DEFAULTS, rounds: 2, id: 'a' });
    world.time.pass(LONG_MS);
    const told = 'the guest was announced; no frame was sent: the machine has no network interface';
    expect(world.notes).toMatchObject([
      { message: 'an announcement of the guest begins', details: { announcement: 1, name: 'a', rounds: '2' } },
      { message: told, details: { announcement: 1, round: 1 } },
      { message: told, details: { announcement: 1, round: 2 } },
      { message: 'an announcement of the guest has ended', details: { outcome: 'completed', rounds: 2 } },
    ]);
  });

  it('that cannot be stored change nothing, and the previous announcement continues', () => {
    const store = openMemoryStore();
    const world = fakeDomain({ store });
    const { announcements } = world.domain;
    announcements.announce(DEFAULTS);
    const add = store.announcements.addRound;
    store.announcements.addRound = () => {
      throw new Error('the disk is full');
    };
    expect(() => announcements.announce(DEFAULTS)).toThrow('the disk is full');
    store.announcements.addRound = add;
    world.time.pass(LONG_MS);
    expect(rows(world).map(({ outcome, roundsMade }) => [outcome, roundsMade])).toEqual([['completed', 5]]);
    store.close();
  });

  it('end with the service, and no timer is left', async () => {
    const world = fakeDomain();
    world.domain.announcements.announce(DEFAULTS);
    await world.domain.close();
    expect(world.time.pending).toBe(0);
    expect(rows(world)[0]).toMatchObject({ outcome: 'stopped', roundsMade: 1 });
  });

  it('that an earlier process left open are closed by the next process', () => {
    const store = openMemoryStore();
    fakeDomain({ store }).domain.announcements.announce(DEFAULTS);
    const next = fakeDomain({ store });
    expect(rows(next)[0]).toMatchObject({ outcome: 'unknown', roundsMade: 1, endedAt: null });
    store.close();
  });
});

describe('the announcement of a migration', () => {
  async function arrive(world: FakeWorld, globalState = 'running') {
    const begun = world.domain.migration.incoming({ uri: 'tcp::0' });
    world.incoming().listen();
    const { id } = await begun;
    world.incoming().activate();
    world.incoming().load(globalState);
    await world.domain.migration.ended(id, 1000);
    return id;
  }

  it('follows the parameters, and starts after the guest has arrived', async () => {
    const world = fakeDomain({ incoming: true });
    world.domain.settings.setParameters({ 'announce-initial': 20, 'announce-rounds': 3 });
    const id = await arrive(world);
    world.time.pass(LONG_MS);
    expect(rows(world)).toMatchObject([{ name: null, migrationId: id, roundsMade: 3, outcome: 'completed' }]);
    expect(timesOf(world, '1')).toEqual([0, 20, 140]);
  });

  it('starts also for a guest that stays stopped, as in QEMU', async () => {
    const world = fakeDomain({ incoming: true, startPaused: true });
    await arrive(world);
    expect(world.domain.machine.status().status).toBe('paused');
    expect(rows(world)).toHaveLength(1);
  });

  it('is independent of announcements by command and of their limit', async () => {
    const world = fakeDomain({ incoming: true });
    for (let id = 0; id < ANNOUNCEMENTS_MAX; id += 1) {
      world.domain.announcements.announce({ ...DEFAULTS, id: `id-${id}`, max: LONG_MS, initial: LONG_MS });
    }
    await arrive(world);
    world.domain.announcements.announce({ ...DEFAULTS, id: 'id-0', rounds: 0 });
    world.time.pass(1000);
    expect(rows(world)[1]).toMatchObject({ name: null, outcome: 'completed', roundsMade: 5 });
  });

  it('is not made for an image, which never runs, nor at the source', async () => {
    const world = fakeDomain({ incoming: true, machine: new FakeMachine('image') });
    await arrive(world);
    expect(rows(world)).toEqual([]);
    const source = fakeDomain();
    const { id } = source.domain.migration.start({ uri: 'tcp:127.0.0.1:1' });
    for (const status of ['active', 'device'] as const) source.outgoing().step(status);
    source.outgoing().finish('completed');
    await source.domain.migration.ended(id, 1000);
    expect(rows(source)).toEqual([]);
  });

  it('does not prevent the start of the guest if it cannot be stored', async () => {
    const store = openMemoryStore();
    store.announcements.add = () => {
      throw new Error('the disk is full');
    };
    const world = fakeDomain({ incoming: true, store });
    await arrive(world);
    expect(world.domain.machine.status().running).toBe(true);
    expect(world.faults).toHaveLength(1);
    store.close();
  });
});
