import { describe, expect, test } from 'vitest';
import { jobWorld, settled, Work } from './world.ts';

describe('the revision of the list', () => {
  test('grows with every transition and figure, and with nothing else', async () => {
    const { jobs } = jobWorld();
    const work = new Work();
    let current = 0;
    const empty = jobs.revision();
    jobs.start(work.spec('a'));
    const control = await work.begun;
    const begun = jobs.revision();
    expect(begun).toBeGreaterThan(empty);
    expect(jobs.revision()).toBe(begun);
    control.reportProgress(() => ({ current, total: 10 }));
    const told = jobs.revision();
    expect(told).toBeGreaterThan(begun);
    current = 5;
    const moved = jobs.revision();
    expect(moved).toBeGreaterThan(told);
    expect(jobs.revision()).toBe(moved);
    work.succeed();
    await settled();
    const ended = jobs.revision();
    expect(ended).toBeGreaterThan(moved);
    jobs.apply('a', 'dismiss');
    expect(jobs.revision()).toBeGreaterThan(ended);
  });
});

describe('a query that is repeated often', () => {
  test('is answered from memory, without the database', async () => {
    const { jobs, store, recover } = jobWorld();
    recover();
    jobs.start(new Work().spec('a'));
    await settled();
    const seen = jobs.revision();
    const refuse = (): never => {
      throw new Error('the database was asked');
    };
    Object.assign(store.jobs, { get: refuse, list: refuse, open: refuse });
    expect(jobs.list()).toMatchObject([{ id: 'a', status: 'running' }]);
    expect(jobs.get('a').status).toBe('running');
    expect(jobs.revision()).toBe(seen);
    expect(jobs.holderOf('machine')).toBe('a');
    expect(() => jobs.get('b')).toThrow('the database was asked');
  });
});

describe('a wait', () => {
  test('for a change ends when a figure has changed', async () => {
    const { jobs, time } = jobWorld();
    const work = new Work();
    let current = 0;
    jobs.start(work.spec('a'));
    (await work.begun).reportProgress(() => ({ current, total: 10 }));
    const seen = jobs.revision();
    const changed = jobs.changed(seen, 10_000);
    current = 1;
    time.pass(100);
    await changed;
    expect(jobs.revision()).toBeGreaterThan(seen);
    expect(time.pending).toBe(0);
  });

  test('shares one timer for figures with all other waits', async () => {
    const { jobs, time } = jobWorld();
    jobs.start(new Work().spec('a'));
    const waiting = Array.from({ length: 5 }, () => jobs.changed(jobs.revision(), 1000));
    // One timer for each time-out, and one that polls figures.
    expect(time.pending).toBe(6);
    time.pass(1000);
    await Promise.all(waiting);
    expect(time.pending).toBe(0);
  });

  test('for a change ends at the time-out, and when the client has disconnected', async () => {
    const { jobs, time } = jobWorld();
    const timedOut = jobs.changed(jobs.revision(), 1000);
    time.pass(1000);
    await timedOut;
    const gone = new AbortController();
    const abandoned = jobs.changed(jobs.revision(), 1000, gone.signal);
    gone.abort();
    await abandoned;
    expect(time.pending).toBe(0);
  });

  test('for the end of a job returns the ended job, or the present one at the time-out', async () => {
    const { jobs, time } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    const early = jobs.ended('a', 100);
    time.pass(100);
    expect((await early).status).toBe('running');
    const late = jobs.ended('a', 100);
    work.succeed();
    expect(await late).toMatchObject({ status: 'concluded', outcome: 'completed' });
    expect((await jobs.ended('a', 100)).outcome).toBe('completed');
    jobs.apply('a', 'dismiss');
    expect((await jobs.ended('a', 100)).outcome).toBe('completed');
    expect(time.pending).toBe(0);
  });

  test('for the end of a job is not ended by another job with its id', async () => {
    const { jobs } = jobWorld();
    const [first, second] = [new Work(), new Work()];
    const { sequence } = jobs.start(first.spec('a', { autoDismiss: true }));
    const ended = jobs.ended('a', 1000);
    first.succeed();
    await settled();
    jobs.start(second.spec('a'));
    expect(await ended).toMatchObject({ sequence, outcome: 'completed' });
  });
});
