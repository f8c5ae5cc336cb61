import { describe, expect, test } from 'vitest';
import { DomainError } from '../../../src/domain/errors.ts';
import { CONCLUDED_JOBS_LISTED, JOBS_MAX } from '../../../src/domain/jobs/jobs.ts';
import { refusalOf } from '../fakes/refusal.ts';
import { jobWorld, settled, Work } from './world.ts';

describe('a job', () => {
  test("passes through the states of QEMU's jobs, and is gone after its dismissal", async () => {
    const { jobs, steps, store } = jobWorld();
    const work = new Work();
    expect(jobs.start(work.spec('a')).status).toBe('running');
    work.succeed();
    await settled();
    expect(jobs.get('a')).toMatchObject({ status: 'concluded', outcome: 'completed', errorCode: null });
    expect(jobs.apply('a', 'dismiss').status).toBe('null');
    expect(steps('a')).toEqual(['created', 'running', 'waiting', 'pending', 'concluded', 'null']);
    expect(jobs.list()).toEqual([]);
    expect(store.jobs.get('a')).toMatchObject({ status: 'concluded', outcome: 'completed' });
    expect(jobs.get('a').status).toBe('concluded');
  });

  test('that fails has the code and the text of its error', async () => {
    const { jobs, steps } = jobWorld();
    const [first, second] = [new Work(), new Work()];
    jobs.start(first.spec('a'));
    jobs.start(second.spec('b', { resources: [] }));
    first.fail(new DomainError('no_space', 'There is no space left.'));
    second.fail({ code: 'snapshot_damaged', message: 'It is damaged.' });
    await settled();
    expect(jobs.get('a')).toMatchObject({ outcome: 'failed', errorCode: 'no_space' });
    expect(jobs.get('b')).toMatchObject({ errorCode: 'snapshot_damaged', errorDescription: 'It is damaged.' });
    expect(steps('a')).toEqual(['created', 'running', 'aborting', 'concluded']);
  });

  test.each([
    ['an unexpected error', new TypeError('x is undefined'), 'x is undefined'],
    ['a value that is no error', 'boom', 'boom'],
  ])('whose work rejects with %s fails, and the fault is reported', async (_, thrown, text) => {
    const { jobs, faults } = jobWorld();
    jobs.start({ ...new Work().spec('a'), run: () => Promise.reject(thrown) });
    await settled();
    expect(jobs.get('a')).toMatchObject({ outcome: 'failed', errorCode: 'job_failed' });
    expect(jobs.get('a').errorDescription).toContain(text);
    expect(faults).toEqual([thrown]);
  });

  test('whose work throws before it returns a promise fails', async () => {
    const { jobs } = jobWorld();
    const run = (): Promise<void> => {
      throw new DomainError('snapshot_exists', 'It is there.');
    };
    jobs.start({ ...new Work().spec('a'), run });
    await settled();
    expect(jobs.get('a').errorCode).toBe('snapshot_exists');
  });

  test('has times of the wall clock and a duration of the monotonic clock, and keeps its last figures', async () => {
    const { jobs, time } = jobWorld();
    const blocker = new Work();
    const work = new Work();
    jobs.start(blocker.spec('before'));
    jobs.start(work.spec('a'));
    const createdAt = time.now();
    time.pass(500);
    blocker.succeed();
    const control = await work.begun;
    control.reportProgress(() => ({ current: time.monotonic(), total: 2000 }));
    time.pass(250);
    expect(jobs.get('a')).toMatchObject({ currentProgress: 750, totalProgress: 2000, durationMs: 250, endedAt: null });
    work.succeed();
    await settled();
    time.pass(1000);
    expect(jobs.get('a')).toMatchObject({
      createdAt,
      startedAt: createdAt + 500,
      endedAt: createdAt + 750,
      durationMs: 250,
      currentProgress: 750,
      totalProgress: 2000,
    });
  });

  test('keeps its warnings, its details and its result, with exact 64-bit integers', async () => {
    const { jobs } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a', { details: { tag: 'x', clock: 2n ** 60n } }));
    const control = await work.begun;
    control.warn('disk1 is left out.');
    control.setResult({ bytes: 2n ** 63n });
    work.succeed();
    await settled();
    jobs.apply('a', 'dismiss');
    expect(jobs.get('a')).toMatchObject({
      warnings: ['disk1 is left out.'],
      details: { tag: 'x', clock: 2n ** 60n },
      result: { bytes: 2n ** 63n },
    });
  });

  test('keeps the first hundred warnings and one more that reports the omission', async () => {
    const { jobs } = jobWorld();
    const work = new Work();
    jobs.start(work.spec('a'));
    const control = await work.begun;
    for (let at = 1; at <= 150; at += 1) control.warn(`number ${at}`);
    const { warnings } = jobs.get('a');
    expect(warnings).toHaveLength(100);
    expect(warnings.slice(-2)).toEqual(['number 99', 'There were more warnings.']);
  });

  test('is visible to the callback in the transaction that stores it, and is not stored if the callback throws', () => {
    const { jobs, store, steps } = jobWorld();
    const work = new Work();
    let seen = '';
    jobs.start(work.spec('a', { onInsert: ({ id, status }) => (seen = `${id} ${status}`) }));
    expect(seen).toBe('a created');
    const refusal = refusalOf(() =>
      jobs.start(
        work.spec('b', {
          onInsert: () => {
            throw new DomainError('invalid_tag', 'no');
          },
        }),
      ),
    );
    expect(refusal?.code).toBe('invalid_tag');
    expect(store.jobs.get('b')).toBeNull();
    expect(steps('b')).toEqual([]);
    expect(jobs.list()).toHaveLength(1);
  });
});

describe('the id of a new job', () => {
  test('is refused while an undismissed job has it, and can be used again later', async () => {
    const { jobs, store } = jobWorld();
    const work = new Work();
    const { sequence } = jobs.start(work.spec('a'));
    expect(refusalOf(() => jobs.start(new Work().spec('a')))?.code).toBe('job_id_in_use');
    work.succeed();
    await settled();
    expect(refusalOf(() => jobs.start(new Work().spec('a')))?.code).toBe('job_id_in_use');
    jobs.apply('a', 'dismiss');
    const again = jobs.start(new Work().spec('a'));
    expect(again.sequence).toBeGreaterThan(sequence);
    expect(store.jobs.get('a')?.sequence).toBe(again.sequence);
  });

  test('is generated if none is given, and differs from the ids of all earlier jobs', async () => {
    const { jobs } = jobWorld();
    const early = new Work();
    const { id } = jobs.start(early.spec('job-2'));
    early.succeed();
    await settled();
    jobs.apply(id, 'dismiss');
    expect([1, 2].map(() => jobs.start(new Work().spec(null)).id)).toEqual(['job-3', 'job-4']);
  });

  test('that is malformed is refused, and nothing is stored', () => {
    const { jobs, store } = jobWorld();
    for (const id of ['', '1', 'a b']) {
      expect(refusalOf(() => jobs.start(new Work().spec(id)))?.code).toBe('invalid_job_id');
    }
    expect(store.jobs.open()).toEqual([]);
  });
});

describe('the number of jobs', () => {
  test('is limited: an additional job is refused until another has ended', async () => {
    const { jobs } = jobWorld();
    const first = new Work();
    jobs.start(first.spec('first'));
    for (let made = 1; made < JOBS_MAX; made += 1) jobs.start(new Work().spec(null));
    expect(refusalOf(() => jobs.start(new Work().spec(null)))).toMatchObject({ code: 'too_many_jobs', kind: 'busy' });
    first.succeed();
    await settled();
    expect(jobs.start(new Work().spec(null)).status).toBe('created');
  });

  test('in the list contains only the newest concluded ones, and the others are in the history', async () => {
    const { jobs, steps } = jobWorld();
    for (let made = 0; made < CONCLUDED_JOBS_LISTED + 3; made += 1) {
      const work = new Work();
      jobs.start(work.spec(`a${made}`));
      work.succeed();
    }
    await expect.poll(() => jobs.list().every(({ status }) => status === 'concluded')).toBe(true);
    expect(jobs.list()).toHaveLength(CONCLUDED_JOBS_LISTED);
    expect(jobs.list()[0]?.id).toBe(`a${CONCLUDED_JOBS_LISTED + 2}`);
    expect(steps('a2').at(-1)).toBe('null');
    expect(steps('a3').at(-1)).toBe('concluded');
    expect(jobs.get('a0').outcome).toBe('completed');
  });
});
