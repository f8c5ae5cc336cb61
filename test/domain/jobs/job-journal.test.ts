import { describe, expect, test } from 'vitest';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { jobWorld, settled, Work } from './world.ts';

describe('a database that cannot be written', () => {
  test('refuses a new job, which then does not exist', () => {
    const { jobs, breakStore, steps } = jobWorld();
    breakStore(true);
    expect(() => jobs.start(new Work().spec('a'))).toThrow('the disk is full');
    breakStore(false);
    expect(jobs.list()).toEqual([]);
    expect(steps()).toEqual([]);
    expect(jobs.start(new Work().spec('a')).status).toBe('running');
  });

  test('does not delay a job: missing changes are written with the next one, in order', async () => {
    const { jobs, breakStore, store, steps, faults } = jobWorld();
    const [first, second] = [new Work(), new Work()];
    jobs.start(first.spec('a'));
    jobs.start(second.spec('b', { resources: [] }));
    await second.begun;
    breakStore(true);
    first.succeed();
    await settled();
    expect(jobs.get('a').outcome).toBe('completed');
    expect(store.jobs.get('a')?.outcome).toBeNull();
    expect(faults).toHaveLength(1);
    breakStore(false);
    jobs.apply('b', 'pause');
    expect(steps()).toEqual([
      'a created',
      'a running',
      'b created',
      'b running',
      'a waiting',
      'a pending',
      'a concluded',
      'b paused',
    ]);
    expect(store.jobs.get('a')?.outcome).toBe('completed');
  });

  test('is tried again after some time, until the write succeeds', async () => {
    const { jobs, breakStore, store, time, faults } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    breakStore(true);
    work.succeed();
    await settled();
    time.pass(2500);
    expect(faults).toHaveLength(3);
    breakStore(false);
    time.pass(1000);
    expect(store.jobs.get('a')?.outcome).toBe('completed');
    expect(time.pending).toBe(0);
  });

  test('because the disk is full fails a job that needs it, and this end is written into the reserved space', async () => {
    const { jobs, fillStore, store, steps, faults } = jobWorld();
    const run: Work['run'] = async (control) => {
      fillStore();
      control.setPhase('write');
    };
    jobs.start({ ...new Work().spec('a'), run });
    await settled();
    expect(store.jobs.get('a')).toMatchObject({ status: 'concluded', outcome: 'failed', errorCode: 'no_space' });
    expect(steps('a')).toEqual(['created', 'running', 'aborting', 'concluded']);
    expect(faults).toEqual([]);
  });

  test('fails a job whose phase cannot be stored, since no start could repair it after a crash', async () => {
    const { jobs, breakStore, store } = jobWorld();
    const work = new Work();
    let reached = false;
    const run: Work['run'] = async (control) => {
      breakStore(true);
      control.setPhase('write');
      reached = true;
    };
    jobs.start({ ...work.spec('a'), run });
    await settled();
    breakStore(false);
    jobs.start(new Work().spec('b'));
    expect(reached).toBe(false);
    expect(store.jobs.get('a')).toMatchObject({ outcome: 'failed', errorCode: 'job_failed', phase: null });
  });
});

describe('a write', () => {
  test('stores a row and its event together, and informs subscribers after both', () => {
    const store = openMemoryStore();
    const { jobs } = jobWorld(store);
    const seen: string[] = [];
    jobs.start(new Work().spec('a'));
    seen.push(String(store.jobs.get('a')?.status), String(store.events.since(0, 10).at(-1)?.data?.status));
    jobs.apply('a', 'cancel');
    expect(seen).toEqual(['running', 'running']);
    store.close();
  });

  test('stores a phase at once, and removes it when the job has ended', async () => {
    const { jobs, store } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    (await work.begun).setPhase('apply');
    expect(store.jobs.get('a')?.phase).toBe('apply');
    work.succeed();
    await settled();
    expect(store.jobs.get('a')?.phase).toBeNull();
    expect(store.jobs.open()).toEqual([]);
  });
});
