import { describe, expect, test } from 'vitest';
import type { JobVerb } from '../../../src/domain/jobs/job-lifecycle.ts';
import { refusalOf } from '../fakes/refusal.ts';
import { jobWorld, settled, Work } from './world.ts';

describe('cancel', () => {
  test('of a job that waits concludes it, and its work never begins', async () => {
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

  test('of a job that runs is told to its work, and counts when the work has let go', async () => {
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

  test('before the work has had its turn, lets it not begin at all', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    expect(jobs.apply('a', 'cancel').status).toBe('running');
    await settled();
    expect(work.hasBegun).toBe(false);
    expect(jobs.get('a').outcome).toBe('cancelled');
    expect(steps('a')).toEqual(['created', 'running', 'aborting', 'concluded']);
  });

  test('before the work has said how, is told as soon as it does', async () => {
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

  test('of a paused job wakes it first, as QEMU does', async () => {
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

  test('that comes too late does not undo what was done', async () => {
    const { jobs } = jobWorld();
    const work = new Work({ hasHooks: false });
    jobs.start(work.spec('a'));
    await work.begun;
    jobs.apply('a', 'cancel');
    work.succeed();
    await settled();
    expect(jobs.get('a')).toMatchObject({ outcome: 'completed', errorCode: null });
  });

  test('does not hide a failure of its own', async () => {
    const { jobs } = jobWorld();
    const work = new Work({ hasHooks: false });
    jobs.start(work.spec('a'));
    await work.begun;
    jobs.apply('a', 'cancel');
    work.fail({ code: 'image_io_error', message: 'It could not be taken back.' });
    await settled();
    expect(jobs.get('a')).toMatchObject({ outcome: 'failed', errorCode: 'image_io_error' });
  });

  test('and the last moment for it never both win', async () => {
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
  test('are told to the work, and told of', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    await work.begun;
    expect(jobs.apply('a', 'pause').status).toBe('paused');
    expect(jobs.apply('a', 'resume').status).toBe('running');
    expect(work.told).toEqual(['pause', 'resume']);
    expect(steps('a')).toEqual(['created', 'running', 'paused', 'running']);
  });

  test('a pause shows once the work has been told', async () => {
    const { jobs } = jobWorld();
    const work = new Work({ hasHooks: false });
    jobs.start(work.spec('a'));
    const control = await work.begun;
    expect(jobs.apply('a', 'pause')).toMatchObject({ status: 'running', isPaused: true });
    control.control(work.hooks);
    expect(jobs.get('a')).toMatchObject({ status: 'paused', isPaused: true });
    expect(work.told).toEqual(['pause']);
  });

  test('a job that is paused while it waits keeps its place, and does not begin', async () => {
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

  test('work that had ended when it was paused ends all the same', async () => {
    const { jobs, steps } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    await work.begun;
    jobs.apply('a', 'pause');
    work.succeed();
    await settled();
    expect(steps('a').slice(2)).toEqual(['paused', 'running', 'waiting', 'pending', 'concluded']);
  });

  test('neither may be said twice', async () => {
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

describe('a job that does not finalize by itself', () => {
  test('is pending until it is told, and keeps what it has', async () => {
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

describe('a job that is dismissed by itself', () => {
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
  /** A job whose work waits to be told to complete. */
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

  test('stays so until it is told to complete', async () => {
    const { jobs, steps } = await readyJob();
    expect(jobs.get('a').status).toBe('ready');
    jobs.apply('a', 'complete');
    await settled();
    expect(steps('a')).toEqual(['created', 'running', 'ready', 'waiting', 'pending', 'concluded']);
  });

  test('stands by while it is paused, and completes then only once it is resumed', async () => {
    const { jobs, steps } = await readyJob();
    expect(jobs.apply('a', 'pause').status).toBe('standby');
    jobs.apply('a', 'complete');
    await settled();
    expect(jobs.get('a').status).toBe('standby');
    jobs.apply('a', 'resume');
    await settled();
    expect(steps('a').slice(2)).toEqual(['ready', 'standby', 'ready', 'waiting', 'pending', 'concluded']);
  });

  test('stands by at once where it was paused before it came so far', async () => {
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

  test('does not become so once it was cancelled', async () => {
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
  test.each<[JobVerb]>([['complete'], ['finalize'], ['dismiss']])('%s is refused of a job that runs', async (verb) => {
    const { jobs, steps } = jobWorld();
    jobs.start(new Work().spec('a'));
    const refusal = refusalOf(() => jobs.apply('a', verb));
    expect(refusal?.code).toBe('job_verb_not_allowed');
    expect(refusal?.message).toContain(`state 'running' does not take ${verb}`);
    expect(steps('a')).toEqual(['created', 'running']);
  });

  test.each<[JobVerb]>([['cancel'], ['pause'], ['resume'], ['complete'], ['finalize']])(
    '%s is refused of a job that has concluded',
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

  test('for a job that never was, or was dismissed, finds none', async () => {
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
