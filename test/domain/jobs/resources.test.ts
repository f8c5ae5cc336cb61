import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refusalOf } from '../fakes/refusal.ts';
import { jobWorld, settled, Work } from './world.ts';

describe('the resources of jobs', () => {
  test('jobs without a common resource run concurrently', () => {
    const { jobs } = jobWorld();
    const status = (resources: readonly string[]) => jobs.start(new Work().spec(null, { resources })).status;
    expect(status(['node:disk0'])).toBe('running');
    expect(status(['node:disk1'])).toBe('running');
    expect(status(['node:disk1', 'node:disk2'])).toBe('created');
    expect(status(['node:disk3'])).toBe('running');
    expect(status([])).toBe('running');
  });

  test('a later job does not overtake one that waits for more resources', async () => {
    const { jobs } = jobWorld();
    const [first, both, second] = [new Work(), new Work(), new Work()];
    jobs.start(first.spec('a', { resources: ['node:disk0'] }));
    jobs.start(both.spec('b', { resources: ['node:disk0', 'node:disk1'] }));
    jobs.start(second.spec('c', { resources: ['node:disk1'] }));
    await settled();
    expect(second.hasBegun).toBe(false);
    first.succeed();
    await settled();
    expect([both.hasBegun, second.hasBegun]).toEqual([true, false]);
    both.fail({ code: 'no_space', message: 'full' });
    await settled();
    expect(second.hasBegun).toBe(true);
  });

  test('the holder of a resource is the job that has it, or the first job that waits for it', async () => {
    const { jobs } = jobWorld();
    const [first, second] = [new Work(), new Work()];
    expect(jobs.holderOf('machine')).toBeNull();
    jobs.start(first.spec('a', { resources: ['node:disk0'] }));
    jobs.start(second.spec('b', { resources: ['machine', 'node:disk0'] }));
    expect(jobs.holderOf('machine')).toBe('b');
    expect(jobs.holderOf('node:disk0')).toBe('a');
    first.succeed();
    await settled();
    expect(jobs.holderOf('node:disk0')).toBe('b');
    jobs.apply('b', 'cancel');
    await settled();
    expect(jobs.holderOf('machine')).toBeNull();
  });

  test('a waiting job names the job before it for each resource, and a running job names none', async () => {
    const { jobs } = jobWorld();
    const works = new Map<string, Work>();
    const start = (id: string, resources: readonly string[]) => {
      const work = new Work();
      works.set(id, work);
      const told: (readonly string[])[] = [];
      const { waitsFor } = jobs.start(work.spec(id, { resources, onInsert: (job) => told.push(job.waitsFor) }));
      // The caller gets the same list, unless the job has started since.
      expect(told).toEqual([waitsFor]);
    };
    start('a', ['machine', 'node:disk0']);
    start('b', ['node:disk1']);
    start('c', ['machine', 'node:disk0']);
    start('d', ['node:disk0', 'node:disk1']);
    start('e', ['node:disk2']);
    const waits = () => Object.fromEntries(jobs.list().map(({ id, waitsFor }) => [id, waitsFor]));
    expect(waits()).toEqual({ a: [], b: [], c: ['a'], d: ['c', 'b'], e: [] });
    expect(jobs.get('d').waitsFor).toEqual(['c', 'b']);
    jobs.apply('c', 'cancel');
    expect(waits()).toEqual({ a: [], b: [], c: [], d: ['a', 'b'], e: [] });
    works.get('a')?.succeed();
    await settled();
    expect(waits()).toMatchObject({ d: ['b'] });
    works.get('b')?.succeed();
    await settled();
    expect(waits()).toMatchObject({ d: [] });
    expect(works.get('d')?.hasBegun).toBe(true);
  });

  test('each resource belongs to one job at a time with any sequence of verbs, and all jobs end', async () => {
    const names = ['machine', 'node:a', 'node:b'];
    const plan = fc.array(
      fc.record({
        resources: fc.uniqueArray(fc.constantFrom(...names)),
        end: fc.constantFrom('succeed', 'fail', 'cancel', 'pause'),
      }),
      { minLength: 1, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(plan, async (specs) => {
        const { jobs } = jobWorld();
        const running = new Set<string>();
        const order: number[] = [];
        const works = specs.map(({ resources }, at) => {
          const work = new Work();
          const run: Work['run'] = async (control) => {
            for (const name of resources) expect(running.has(name)).toBe(false);
            for (const name of resources) running.add(name);
            order.push(at);
            await work.run(control).finally(() => {
              for (const name of resources) running.delete(name);
            });
          };
          jobs.start({ ...work.spec(`j${at}`, { resources }), run });
          return work;
        });
        for (const [at, { end }] of specs.entries()) {
          await settled();
          if (end === 'cancel') jobs.apply(`j${at}`, 'cancel');
          if (end === 'pause') jobs.apply(`j${at}`, 'pause');
        }
        for (const [at, { end }] of specs.entries()) {
          if (end === 'pause') jobs.apply(`j${at}`, 'resume');
          if (end === 'fail') works[at]!.fail({ code: 'no_space', message: 'full' });
          else works[at]!.succeed();
          await settled();
        }
        await settled();
        expect(jobs.list().filter(({ outcome }) => outcome === null)).toEqual([]);
        for (const name of names) {
          const those = order.filter((at) => specs[at]!.resources.includes(name));
          expect(those).toEqual(those.toSorted((left, right) => left - right));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('the end of the service', () => {
  test('cancels running, waiting and pending jobs, accepts no new ones, and waits until all have ended', async () => {
    const { jobs, steps } = jobWorld();
    const [running, waiting, pending, last] = [new Work({ hasHooks: false }), new Work(), new Work(), new Work()];
    jobs.start(running.spec('running'));
    jobs.start(waiting.spec('waiting'));
    jobs.start(pending.spec('pending', { resources: [], autoFinalize: false }));
    jobs.start(last.spec('last', { resources: [] }));
    (await last.begun).cannotBeCancelled();
    pending.succeed();
    await settled();
    let isClosed = false;
    const closed = jobs.close().then(() => {
      isClosed = true;
    });
    expect(refusalOf(() => jobs.start(new Work().spec('more')))?.code).toBe('shutting_down');
    last.succeed();
    await settled();
    expect(isClosed).toBe(false);
    running.fail({ code: 'job_cancelled', message: 'given up' });
    await closed;
    expect(waiting.hasBegun).toBe(false);
    for (const id of ['running', 'waiting', 'pending']) {
      expect(jobs.get(id)).toMatchObject({ outcome: 'cancelled', errorCode: 'job_cancelled' });
      expect(jobs.get(id).errorDescription).toContain('the service was stopped');
      expect(steps(id).at(-1)).toBe('concluded');
    }
    expect(jobs.get('last').outcome).toBe('completed');
  });

  test('leaves no timer, even if the last changes could not be written', async () => {
    const { jobs, time, breakStore, faults } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    breakStore(true);
    work.succeed();
    await settled();
    await jobs.close();
    expect(time.pending).toBe(0);
    expect(faults).not.toEqual([]);
  });
});
