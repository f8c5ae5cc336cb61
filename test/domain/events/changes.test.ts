import { describe, expect, it } from 'vitest';
import { fakeDomain } from '../fakes/fake-domain.ts';

describe('a revision', () => {
  it('changes with everything that query-migrate shows', async () => {
    const { domain, outgoing } = fakeDomain();
    const seen = [domain.migration.revision()];
    const changedBy = (work: () => unknown) => {
      work();
      seen.push(domain.migration.revision());
    };
    let blocker = '';
    changedBy(() => {
      blocker = domain.blockers.add('x').id;
    });
    changedBy(() => domain.blockers.remove(blocker));
    changedBy(() => domain.migration.start({ uri: 'tcp:h:1' }));
    changedBy(() => outgoing().step('active'));
    changedBy(() => outgoing().setFigures({ transferredBytes: 1 }));
    changedBy(() => outgoing().listener.pass(2));
    changedBy(() => domain.settings.setParameters({ 'downtime-limit': 5 }));
    outgoing().finish('failed');
    await domain.migration.ended('id-2', 1000);
    changedBy(() => {});
    changedBy(() => domain.migration.start({ uri: 'tcp:h:1' }));
    expect(seen).toEqual([...new Set(seen)].sort((left, right) => left - right));
    expect(seen).toHaveLength(10);
  });

  it('that is outdated is answered at once', async () => {
    const { domain, time } = fakeDomain();
    await domain.migration.changed(domain.migration.revision() - 1, 1000);
    expect(time.pending).toBe(0);
  });

  it('can be awaited until the time-out or the abort of the caller, and no timer is left', async () => {
    const { domain, time } = fakeDomain();
    const timedOut = domain.migration.changed(domain.migration.revision(), 1000);
    time.pass(1000);
    await timedOut;
    const gone = new AbortController();
    const aborted = domain.migration.changed(domain.migration.revision(), 1000, gone.signal);
    gone.abort();
    await aborted;
    await domain.migration.changed(domain.migration.revision(), 1000, gone.signal);
    expect(time.pending).toBe(0);
  });

  it('wakes every waiting caller', async () => {
    const { domain, time } = fakeDomain();
    const seen = domain.migration.revision();
    const waiting = Array.from({ length: 100 }, () => domain.migration.changed(seen, 60_000));
    domain.blockers.add('x');
    await Promise.all(waiting);
    expect(time.pending).toBe(0);
  });
});

describe('a wait for the end of a migration', () => {
  it('returns the present row at the time-out', async () => {
    const { domain, time } = fakeDomain();
    const { id } = domain.migration.start({ uri: 'tcp:h:1' });
    const ended = domain.migration.ended(id, 500);
    time.pass(500);
    expect(await ended).toMatchObject({ id, status: 'setup' });
    await expect(domain.migration.ended('nothing', 500)).rejects.toMatchObject({ code: 'migration_not_found' });
  });
});

describe('events', () => {
  it('reach subscribers after they are stored, and a subscriber that throws does not affect others', async () => {
    const { domain, faults, store } = fakeDomain();
    const heard: number[] = [];
    domain.events.subscribe(() => {
      throw new Error('a broken door');
    });
    const unsubscribe = domain.events.subscribe(({ id }) => {
      expect(store.events.bounds().newest).toBe(id);
      heard.push(id);
    });
    await domain.machine.stop();
    await domain.machine.cont();
    unsubscribe();
    await domain.machine.stop();
    expect(heard).toEqual([1, 2]);
    expect(faults).toHaveLength(3);
    expect(domain.events.since(1, 10).map(({ name }) => name)).toEqual(['RESUME', 'STOP']);
  });
});
