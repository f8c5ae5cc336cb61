import { describe, expect, onTestFinished, test } from 'vitest';
import { jobRepaired } from '../../../src/domain/jobs/job-journal.ts';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { jobWorld, settled, Work } from './world.ts';

/** A store of a killed service with a job in a phase, a job without a phase, and a waiting job. */
async function killedService() {
  const store = openMemoryStore();
  onTestFinished(() => store.close());
  const { jobs } = jobWorld(store);
  const [saving, verifying, ended] = [new Work(), new Work(), new Work()];
  jobs.start(saving.spec('save', { type: 'snapshot-save', details: { tag: 'x' } }));
  jobs.start(new Work().spec('waits'));
  jobs.start(verifying.spec('verify', { resources: [] }));
  jobs.start(ended.spec('ended', { resources: [] }));
  (await saving.begun).setPhase('write');
  ended.succeed();
  await settled();
  return store;
}

describe('a service that starts after another was killed', () => {
  test('concludes open jobs, with events, and lists them until they are dismissed', async () => {
    const store = await killedService();
    const { jobs, recover, steps, time } = jobWorld(store);
    recover();
    for (const [id, state] of [
      ['save', 'running'],
      ['waits', 'created'],
      ['verify', 'running'],
    ] as const) {
      expect(jobs.get(id)).toMatchObject({ status: 'concluded', outcome: 'failed', endedAt: time.now() });
      expect(jobs.get(id)).toMatchObject({ errorCode: 'service_stopped' });
      expect(jobs.get(id).errorDescription).toContain(`'${state}'`);
      expect(steps(id).at(-1)).toBe('concluded');
    }
    expect(jobs.list().map(({ id }) => id)).toEqual(['verify', 'waits', 'save']);
    expect(jobs.apply('save', 'dismiss').status).toBe('null');
    expect(jobs.list()).toHaveLength(2);
    expect(jobs.get('ended').outcome).toBe('completed');
    expect(jobs.holderOf('machine')).toBeNull();
  });

  test('concludes open jobs on a full disk in the reserved space', async () => {
    const { jobs, recover, fillStore, faults } = jobWorld(await killedService());
    fillStore();
    recover();
    expect(jobs.list().map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'failed']);
    expect(faults).toEqual([]);
  });

  test('gets the jobs with incomplete changes and their details', async () => {
    const store = await killedService();
    const interrupted = jobWorld(store).recover();
    expect(interrupted).toMatchObject([{ id: 'save', type: 'snapshot-save', phase: 'write', details: { tag: 'x' } }]);
  });

  test('gets these jobs again at each start until they are marked as repaired', async () => {
    const store = await killedService();
    const [first] = jobWorld(store).recover();
    const second = jobWorld(store);
    const [again] = second.recover();
    expect(again).toEqual(first);
    expect(second.jobs.list()).toEqual([]);
    jobRepaired(store.jobs, again!, [{ node: 'disk1' }]);
    expect(jobWorld(store).recover()).toMatchObject([{ phase: 'write', recovery: { parts: [{ node: 'disk1' }] } }]);
    jobRepaired(store.jobs, again!);
    const third = jobWorld(store);
    expect(third.recover()).toEqual([]);
    expect(third.jobs.get('save')).toMatchObject({ outcome: 'failed', errorCode: 'service_stopped', phase: null });
  });
});
