import { describe, expect, test } from 'vitest';
import type { JobVerb } from '../../../src/domain/jobs/job-lifecycle.ts';
import { refusalOf } from '../fakes/refusal.ts';
import { jobWorld, settled, Work } from './world.ts';

describe('cancel', () => {
  test('of a waiting job concludes it, and its work never starts', async () => {
    const { jobs, steps } = jobWorld();
    const [first, second] = [new Work(), new Work()];
    jobs.start(first.spec('a'));
    jobs.start(second.spec('b'));
    expect(jobs.apply('b', 'cancel')).toMatchObject({ status: 'concluded', outcome: 'cancelled', durationMs: null });
    first.succeed();
    await settled();
    expect(second.hasBegun).toBe(false);
    expect(steps('b')).toEqual(['created', 'aborting', 'concluded']);
    expect(jobs.get('b')).toMatchObject({ errorCode: 'job_cancelled', startedAt: null });
  });

  test('of a running job is passed to its work, and takes effect when the work has ended', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    await work.begun;
    expect(jobs.apply('a', 'cancel').status).toBe('running');
    await settled();
    expect(work.told).toEqual(['cancel']);
    expect(jobs.get('a').outcome).toBe('cancelled');
    expect(steps('a')).toEqual(['created', 'running', 'aborting', 'concluded']);
  });

  test('before the first turn of the work prevents its start', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    expect(jobs.apply('a', 'cancel').status).toBe('running');
    await settled();
    expect(work.hasBegun).toBe(false);
    expect(jobs.get('a').outcome).toBe('cancelled');
    expect(steps('a')).toEqual(['created', 'running', 'aborting', 'concluded']);
  });

  test('before the work has registered its hooks is passed on when it registers them', async () => {
    const { jobs } = jobWorld();
    const work = new Work({ hasHooks: false });
    jobs.start(work.spec('a'));
    const control = await work.begun;
    jobs.apply('a', 'cancel');
    jobs.apply('a', 'cancel');
    expect(control.isCancelled).toBe(true);
    control.control(work.hooks);
    await settled();
    expect(work.told).toEqual(['cancel']);
    expect(jobs.get('a').outcome).toBe('cancelled');
  });

  test('of a paused job resumes it first, as QEMU does', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    await work.begun;
    jobs.apply('a', 'pause');
    jobs.apply('a', 'cancel');
    await settled();
    expect(steps('a')).toEqual(['created', 'running', 'paused', 'running', 'aborting', 'concluded']);
    expect(work.told).toEqual(['pause', 'cancel', 'resume']);
  });

  test('that is too late does not undo completed work', async () => {
    const { jobs } = jobWorld();
    const work = new Work({ hasHooks: false });
    jobs.start(work.spec('a'));
    await work.begun;
    jobs.apply('a', 'cancel');
    work.succeed();
    await settled();
    expect(jobs.get('a')).toMatchObject({ outcome: 'completed', errorCode: null });
  });

  test('does not hide an error of the work', async () => {
    const { jobs } = jobWorld();
    const work = new Work({ hasHooks: false });
    jobs.start(work.spec('a'));
    await work.begun;
    jobs.apply('a', 'cancel');
    work.fail({ code: 'image_io_error', message: 'It could not be taken back.' });
    await settled();
    expect(jobs.get('a')).toMatchObject({ outcome: 'failed', errorCode: 'image_io_error' });
  });

  test('is refused after the work has declared that it cannot be cancelled, and prevents that declaration before', async () => {
    const { jobs } = jobWorld();
    const [late, early] = [new Work(), new Work({ hasHooks: false })];
    jobs.start(late.spec('late', { resources: [] }));
    jobs.start(early.spec('early', { resources: [] }));
    (await late.begun).cannotBeCancelled();
    expect(refusalOf(() => jobs.apply('late', 'cancel'))?.code).toBe('job_not_cancellable');
    const control = await early.begun;
    jobs.apply('early', 'cancel');
    expect(refusalOf(() => control.cannotBeCancelled())?.code).toBe('job_cancelled');
    late.succeed();
    await settled();
    expect(jobs.get('late').outcome).toBe('completed');
    expect(refusalOf(() => jobs.apply('late', 'cancel'))?.code).toBe('job_verb_not_allowed');
  });
});

describe('pause and resume', () => {
  test('are passed to the work, with events', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    await work.begun;
    expect(jobs.apply('a', 'pause').status).toBe('paused');
    expect(jobs.apply('a', 'resume').status).toBe('running');
    expect(work.told).toEqual(['pause', 'resume']);
    expect(steps('a')).toEqual(['created', 'running', 'paused', 'running']);
  });

  test('a pause is visible when the work has been informed', async () => {
    const { jobs } = jobWorld();
    const work = new Work({ hasHooks: false });
    jobs.start(work.spec('a'));
    const control = await work.begun;
    expect(jobs.apply('a', 'pause')).toMatchObject({ status: 'running', isPaused: true });
    control.control(work.hooks);
    expect(jobs.get('a')).toMatchObject({ status: 'paused', isPaused: true });
    expect(work.told).toEqual(['pause']);
  });

  test('a waiting job that is paused keeps its place, and does not start', async () => {
    const { jobs } = jobWorld();
    const [first, second, third] = [new Work(), new Work(), new Work()];
    jobs.start(first.spec('a'));
    jobs.start(second.spec('b'));
    jobs.start(third.spec('c'));
    expect(jobs.apply('b', 'pause').status).toBe('created');
    first.succeed();
    await settled();
    expect([second.hasBegun, third.hasBegun]).toEqual([false, false]);
    expect(jobs.apply('b', 'resume').status).toBe('running');
    await settled();
    expect([second.hasBegun, third.hasBegun]).toEqual([true, false]);
  });

  test('work that has ended before its pause ends nevertheless', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    await work.begun;
    jobs.apply('a', 'pause');
    work.succeed();
    await settled();
    expect(steps('a').slice(2)).toEqual(['paused', 'running', 'waiting', 'pending', 'concluded']);
  });

  test('neither can be repeated', async () => {
    const { jobs } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    await work.begun;
    expect(refusalOf(() => jobs.apply('a', 'resume'))?.message).toContain('it is not paused');
    jobs.apply('a', 'pause');
    expect(refusalOf(() => jobs.apply('a', 'pause'))?.message).toContain('it is paused already');
    expect(work.told).toEqual(['pause']);
  });
});

describe('a job without automatic finalization', () => {
  test('is pending until it is finalized, and keeps its resources', async () => {
    const { jobs, steps } = jobWorld();
    const [work, next] = [new Work(), new Work()];
    jobs.start(work.spec('a', { autoFinalize: false }));
    jobs.start(next.spec('b'));
    work.succeed();
    await settled();
    expect(jobs.get('a')).toMatchObject({ status: 'pending', outcome: null });
    expect(next.hasBegun).toBe(false);
    expect(jobs.apply('a', 'finalize')).toMatchObject({ status: 'concluded', outcome: 'completed' });
    expect(steps('a')).toEqual(['created', 'running', 'waiting', 'pending', 'concluded']);
    await settled();
    expect(next.hasBegun).toBe(true);
  });

  test('is cancelled at once while it is pending', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a', { autoFinalize: false }));
    work.succeed();
    await settled();
    expect(jobs.apply('a', 'cancel')).toMatchObject({ status: 'concluded', outcome: 'cancelled' });
    expect(steps('a').slice(-3)).toEqual(['pending', 'aborting', 'concluded']);
  });
});

describe('a job with automatic dismissal', () => {
  test('is gone when it has ended, and is in the history', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a', { autoDismiss: true }));
    const ended = jobs.ended('a', 1000);
    work.succeed();
    expect(await ended).toMatchObject({ status: 'null', outcome: 'completed' });
    expect(jobs.list()).toEqual([]);
    expect(steps('a').slice(-2)).toEqual(['concluded', 'null']);
    expect(jobs.get('a')).toMatchObject({ status: 'concluded', outcome: 'completed' });
  });
});

describe('a job that becomes ready', () => {
  /** A ready job, whose work waits for complete. */
  async function readyJob() {
    const world = jobWorld();
    const work = new Work();
    const run: Work['run'] = async (control) => {
      control.control(work.hooks);
      await control.ready();
    };
    world.jobs.start({ ...work.spec('a'), run });
    await settled();
    return { ...world, work };
  }

  test('stays ready until it is completed', async () => {
    const { jobs, steps } = await readyJob();
    expect(jobs.get('a').status).toBe('ready');
    jobs.apply('a', 'complete');
    await settled();
    expect(steps('a')).toEqual(['created', 'running', 'ready', 'waiting', 'pending', 'concluded']);
  });

  test('is in standby while it is paused, and completes only after a resume', async () => {
    const { jobs, steps } = await readyJob();
    expect(jobs.apply('a', 'pause').status).toBe('standby');
    jobs.apply('a', 'complete');
    await settled();
    expect(jobs.get('a').status).toBe('standby');
    jobs.apply('a', 'resume');
    await settled();
    expect(steps('a').slice(2)).toEqual(['ready', 'standby', 'ready', 'waiting', 'pending', 'concluded']);
  });

  test('enters standby at once if it was paused before it became ready', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    const control = await work.begun;
    jobs.apply('a', 'pause');
    const ready = control.ready();
    expect(jobs.apply('a', 'resume').status).toBe('ready');
    jobs.apply('a', 'complete');
    await ready;
    work.succeed();
    await settled();
    expect(steps('a').slice(1, 6)).toEqual(['running', 'paused', 'running', 'ready', 'standby']);
  });

  test.each([false, true])('can be cancelled; paused before: %s', async (isPaused) => {
    const { jobs, steps } = await readyJob();
    if (isPaused) jobs.apply('a', 'pause');
    jobs.apply('a', 'cancel');
    await settled();
    expect(jobs.get('a').outcome).toBe('cancelled');
    expect(steps('a').slice(-3)).toEqual(['ready', 'aborting', 'concluded']);
  });

  test('does not become ready after a cancel', async () => {
    const { jobs } = jobWorld();
    const work = new Work({ hasHooks: false });
    jobs.start(work.spec('a'));
    const control = await work.begun;
    jobs.apply('a', 'cancel');
    await expect(control.ready()).rejects.toMatchObject({ code: 'job_cancelled' });
    expect(jobs.get('a').status).toBe('running');
  });
});

describe('a verb', () => {
  test.each<[JobVerb]>([['complete'], ['finalize'], ['dismiss']])('%s is refused for a running job', async (verb) => {
    const { jobs, steps } = jobWorld();
    jobs.start(new Work().spec('a'));
    const refusal = refusalOf(() => jobs.apply('a', verb));
    expect(refusal?.code).toBe('job_verb_not_allowed');
    expect(refusal?.message).toContain(`state 'running' does not take ${verb}`);
    expect(steps('a')).toEqual(['created', 'running']);
  });

  test.each<[JobVerb]>([['cancel'], ['pause'], ['resume'], ['complete'], ['finalize']])(
    '%s is refused for a concluded job',
    async (verb) => {
      const { jobs } = jobWorld();
      const work = new Work();
      jobs.start(work.spec('a'));
      work.succeed();
      await settled();
      expect(refusalOf(() => jobs.apply('a', verb))?.code).toBe('job_verb_not_allowed');
      expect(jobs.get('a').outcome).toBe('completed');
    },
  );

  test('is refused for an unknown or dismissed job', async () => {
    const { jobs } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    work.succeed();
    await settled();
    jobs.apply('a', 'dismiss');
    expect(refusalOf(() => jobs.apply('a', 'dismiss'))?.message).toContain('only in the history');
    expect(refusalOf(() => jobs.apply('b', 'cancel'))?.message).toBe("There is no job 'b'.");
    expect(refusalOf(() => jobs.get('b'))?.code).toBe('job_not_found');
  });
});
