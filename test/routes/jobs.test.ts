import { describe, expect, test } from 'vitest';
import { queryJobs } from '../../src/commands/jobs.ts';
import { Work } from '../domain/jobs/world.ts';
import { ask, fakeApp } from '../helpers/app.ts';
import { jobIn, startJob } from '../helpers/jobs.ts';

const post = { method: 'POST' } as const;

describe('GET /jobs', () => {
  test('lists jobs newest first, with the members of QAPI and additional ones', async () => {
    const app = await fakeApp();
    await jobIn(app, 'old', 'concluded');
    await jobIn(app, 'new', 'running');
    const jobs = (await ask(app.server, '/jobs')).json.jobs as Record<string, unknown>[];
    expect(jobs.map(({ id, status, outcome }) => [id, status, outcome])).toEqual([
      ['new', 'running', null],
      ['old', 'concluded', 'completed'],
    ]);
    expect(Object.keys(jobs[1]!).sort()).toEqual(
      [
        ...['id', 'type', 'status', 'current-progress', 'total-progress', 'outcome', 'warnings', 'details', 'result'],
        ...['created-at', 'started-at', 'ended-at', 'duration', 'paused', 'waiting-for'],
      ].sort(),
    );
  });

  test('shows which job a job waits for and whether it is paused, for which QAPI has no members', async () => {
    const app = await fakeApp();
    const first = await jobIn(app, 'first', 'running');
    const work = new Work();
    startJob(app, work.spec('second', { type: 'snapshot-save', resources: ['node:disk0'] }));
    const paused = (await ask(app.server, '/jobs/second/pause', post)).json;
    expect(paused).toMatchObject({ status: 'created', paused: true, 'waiting-for': ['first'] });
    const jobs = (await ask(app.server, '/jobs')).json.jobs as Record<string, unknown>[];
    expect(jobs.map((job) => [job.id, job.status, job.paused, job['waiting-for']])).toEqual([
      ['second', 'created', true, ['first']],
      ['first', 'running', false, []],
    ]);
    for (const info of await queryJobs.run(app.domain, {}, {})) {
      expect(Object.keys(info).sort()).toEqual(['current-progress', 'id', 'status', 'total-progress', 'type']);
    }
    first.succeed();
    await expect.poll(() => app.domain.jobs.get('first').outcome).toBe('completed');
    const freed = (await ask(app.server, '/jobs/second')).json;
    expect(freed).toMatchObject({ status: 'created', paused: true, 'waiting-for': [] });
    const resumed = (await ask(app.server, '/jobs/second/resume', post)).json;
    expect(resumed).toMatchObject({ status: 'running', paused: false, 'waiting-for': [] });
    work.succeed();
  });

  test('shows a job as paused from the request on, while QAPI shows it when the work is informed', async () => {
    const app = await fakeApp();
    const work = new Work({ hasHooks: false });
    startJob(app, work.spec('a', { type: 'snapshot-save', resources: [] }));
    const control = await work.begun;
    const qapi = async () => (await queryJobs.run(app.domain, {}, {}))[0]?.status;
    expect((await ask(app.server, '/jobs/a/pause', post)).json).toMatchObject({ status: 'paused', paused: true });
    expect(await qapi()).toBe('running');
    control.control(work.hooks);
    expect((await ask(app.server, '/jobs/a')).json).toMatchObject({ status: 'paused', paused: true });
    expect(await qapi()).toBe('paused');
    expect((await ask(app.server, '/jobs/a/resume', post)).json).toMatchObject({ status: 'running', paused: false });
    work.succeed();
  });

  test('has an entity tag that changes with each change of a job', async () => {
    const app = await fakeApp();
    await jobIn(app, 'a', 'running');
    const first = await ask(app.server, '/jobs');
    const headers = { 'If-None-Match': String(first.headers.etag) };
    expect((await ask(app.server, '/jobs', { headers })).status).toBe(304);
    await ask(app.server, '/jobs/a/pause', post);
    expect((await ask(app.server, '/jobs', { headers })).status).toBe(200);
  });

  test('waits for a change at the request of the client', async () => {
    const app = await fakeApp();
    const work = await jobIn(app, 'a', 'running');
    const tag = String((await ask(app.server, '/jobs')).headers.etag);
    const pending = ask(app.server, '/jobs', { headers: { 'If-None-Match': tag, Prefer: 'wait=10' } });
    work.succeed();
    const { status, json } = await pending;
    expect(status).toBe(200);
    expect(json.jobs).not.toMatchObject([{ status: 'running' }]);
  });
});

describe('GET /jobs/:id', () => {
  test('shows a dismissed job from the history', async () => {
    const app = await fakeApp();
    await jobIn(app, 'a', 'concluded');
    const { json } = await ask(app.server, '/jobs/a/dismiss', post);
    expect(json.status).toBe('null');
    expect((await ask(app.server, '/jobs')).json.jobs).toEqual([]);
    expect((await ask(app.server, '/jobs/a')).json).toEqual({ ...json, status: 'concluded' });
  });

  test('shows the reason of a failed job', async () => {
    const app = await fakeApp();
    const work = await jobIn(app, 'a', 'running');
    work.fail({ code: 'no_space', message: 'No space is left on disk0.' });
    const { json } = await ask(app.server, '/jobs/a', { headers: { Prefer: 'wait=10' } });
    expect(json).toMatchObject({
      status: 'concluded',
      outcome: 'failed',
      error: 'No space is left on disk0.',
      'error-code': 'no_space',
    });
  });

  test('with a wait answers when the job has concluded, or at the time-out', async () => {
    const app = await fakeApp();
    const work = await jobIn(app, 'a', 'running');
    const early = await ask(app.server, '/jobs/a', { headers: { Prefer: 'wait=0' } });
    expect(early.json.status).toBe('running');
    const pending = ask(app.server, '/jobs/a', { headers: { Prefer: 'wait=10' } });
    work.succeed();
    const { json, headers } = await pending;
    expect(json.status).toBe('concluded');
    expect(headers['preference-applied']).toBe('wait=10');
  });

  test('of an unknown job is 404, even with a wait', async () => {
    const { server } = await fakeApp();
    for (const headers of [{}, { Prefer: 'wait=10' }, { 'If-None-Match': '"x"', Prefer: 'wait=10' }]) {
      const { status, json } = await ask(server, '/jobs/nobody', { headers });
      expect([status, json.code]).toEqual([404, 'job_not_found']);
    }
  });
});

describe('POST /jobs/:id/VERB', () => {
  test('answers with the job after the verb', async () => {
    const app = await fakeApp();
    await jobIn(app, 'a', 'running');
    await jobIn(app, 'b', 'pending');
    const status = async (path: string) => (await ask(app.server, path, post)).json.status;
    expect(await status('/jobs/a/pause')).toBe('paused');
    expect(await status('/jobs/a/resume')).toBe('running');
    await jobIn(app, 'c', 'ready');
    expect(await status('/jobs/a/cancel')).toBe('running');
    await expect.poll(() => app.domain.jobs.get('a').outcome).toBe('cancelled');
    await expect.poll(() => app.domain.jobs.get('b').status).toBe('pending');
    expect(await status('/jobs/b/finalize')).toBe('concluded');
    await expect.poll(() => app.domain.jobs.get('c').status).toBe('ready');
    await status('/jobs/c/complete');
    await expect.poll(() => app.domain.jobs.get('c').outcome).toBe('completed');
  });

  test('cancel with a wait answers when the work has ended', async () => {
    const app = await fakeApp();
    await jobIn(app, 'a', 'running');
    const { status, json } = await ask(app.server, '/jobs/a/cancel', { ...post, headers: { Prefer: 'wait=10' } });
    expect([status, json.status, json.outcome]).toEqual([200, 'concluded', 'cancelled']);
  });

  test('is refused in other states, and the error names the present and the allowed states', async () => {
    const app = await fakeApp();
    await jobIn(app, 'a', 'running');
    const { status, json } = await ask(app.server, '/jobs/a/dismiss', post);
    expect([status, json.code]).toEqual([409, 'job_verb_not_allowed']);
    expect(json.detail).toBe(
      "Job 'a' in state 'running' does not take dismiss: only a job in 'concluded' can be told to dismiss.",
    );
  });

  test('cancel after the last possible moment is refused with that reason', async () => {
    const app = await fakeApp();
    const work = await jobIn(app, 'a', 'running');
    work.control?.cannotBeCancelled();
    const { status, json } = await ask(app.server, '/jobs/a/cancel', post);
    expect([status, json.code]).toEqual([409, 'job_not_cancellable']);
    work.succeed();
  });

  test('refuses unknown members, including force as in QEMU', async () => {
    const app = await fakeApp();
    await jobIn(app, 'a', 'running');
    const { status, json } = await ask(app.server, '/jobs/a/cancel', { ...post, body: { force: true } });
    expect([status, json.code]).toEqual([400, 'unknown_member']);
    expect(app.domain.jobs.get('a').status).toBe('running');
  });
});

describe('GET /jobs/history', () => {
  test('lists all ended jobs in pages, newest first, with filters', async () => {
    const app = await fakeApp();
    for (const id of ['a', 'b', 'c']) {
      await jobIn(app, id, 'concluded');
      await ask(app.server, `/jobs/${id}/dismiss`, post);
    }
    const other = new Work();
    startJob(app, other.spec('other', { type: 'snapshot-delete', resources: ['node:disk1'] }));
    other.fail({ code: 'no_space', message: 'full' });
    await expect.poll(() => app.domain.jobs.get('other').outcome).toBe('failed');
    await jobIn(app, 'running', 'running');
    const found = async (url: string): Promise<unknown[]> => {
      const { json, headers } = await ask(app.server, url);
      const ids = (json.jobs as { id: string }[]).map(({ id }) => id);
      const next = /^<([^>]+)>; rel="next"$/.exec(String(headers.link))?.[1];
      return next === undefined ? [ids] : [ids, ...(await found(next))];
    };
    expect(await found('/jobs/history?limit=3')).toEqual([['other', 'c', 'b'], ['a']]);
    expect(await found('/jobs/history?type=snapshot-save&limit=2')).toEqual([['c', 'b'], ['a']]);
    expect(await found('/jobs/history?outcome=failed')).toEqual([['other']]);
    expect(await found('/jobs/history?node=disk0&outcome=completed')).toEqual([['c', 'b', 'a']]);
    expect(await found('/jobs/history?node=disk1&type=snapshot-save')).toEqual([[]]);
  });

  test('refuses a cursor of another list and an unknown outcome', async () => {
    const { server } = await fakeApp();
    expect((await ask(server, '/jobs/history?cursor=abc')).json.code).toBe('invalid_cursor');
    expect((await ask(server, '/jobs/history?outcome=maybe')).status).toBe(422);
  });
});

describe('query-jobs', () => {
  test('has the members of QAPI, and no job of a type that QAPI does not know', async () => {
    const app = await fakeApp();
    await jobIn(app, 'a', 'running');
    startJob(app, new Work().spec('b', { type: 'snapshot-verify', resources: [] }));
    expect(await queryJobs.run(app.domain, {}, {})).toEqual([
      { id: 'a', type: 'snapshot-save', status: 'running', 'current-progress': 0, 'total-progress': 0 },
    ]);
  });
});
