import { describe, expect, test, vi } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { JOBS_MAX, type Jobs } from '../../src/domain/jobs/jobs.ts';
import { ask, type FakeApp, fakeApp } from '../helpers/app.ts';
import { testInSoak } from '../helpers/combinations.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';
import { shared } from '../helpers/shared.ts';

const WAIT = { prefer: 'wait=30' };
const TAG = 'before upgrade/é';
const PATH = `/snapshots/${encodeURIComponent(TAG)}`;

/** An app with two disks with the given snapshots. */
async function app(...tags: readonly string[]): Promise<FakeApp> {
  const blocks = new MemoryBlocks([{ name: 'disk0' }, { name: 'disk1' }]);
  for (const tag of tags) {
    blocks.put('disk0', { tag, vmStateBytes: 4096, clockNs: 2n ** 60n + 1n });
    blocks.put('disk1', { tag });
  }
  return fakeApp({ blocks });
}

/** One with a snapshot, for requests that change nothing. */
const unchanged = shared(() => app(TAG));

describe('POST /snapshots', () => {
  test('saves all disks, and returns the location of the job', async () => {
    const { server, blocks } = await app();
    const reply = await ask(server, '/snapshots', { body: { tag: TAG } });
    expect(reply.status, reply.text).toBe(202);
    expect(reply.json).toMatchObject({ type: 'snapshot-save', outcome: null });
    expect(reply.json.details).toEqual({ tag: TAG, vmstate: 'disk0', devices: ['disk0', 'disk1'] });
    expect(reply.headers.location).toBe(`/jobs/${reply.json.id}`);
    const ended = await ask(server, String(reply.headers.location), { headers: WAIT });
    expect(ended.json).toMatchObject({ status: 'concluded', outcome: 'completed' });
    expect(blocks.tags('disk1')).toEqual([TAG]);
  });

  testInSoak(
    'completes all accepted jobs of a flood of requests, and refuses the others with Retry-After',
    async () => {
      const { server, blocks, domain } = await app('a');
      const gate = blocks.hold('verify');
      const flood = Array.from({ length: JOBS_MAX + 50 }, () => ask(server, '/snapshots/a/verify', { method: 'POST' }));
      const replies = await Promise.all(flood);
      const accepted = replies.filter(({ status }) => status === 202).map(({ json }) => String(json.id));
      const refused = replies.filter(({ status }) => status !== 202);
      expect([accepted.length, new Set(accepted).size, refused.length]).toEqual([JOBS_MAX, JOBS_MAX, 50]);
      for (const { json, headers } of refused)
        expect([json.code, headers['retry-after']]).toEqual(['too_many_jobs', '1']);
      const save = await ask(server, '/snapshots', { body: { tag: TAG } });
      expect(save.json).toMatchObject({ status: 503, code: 'too_many_jobs' });
      expect(save.headers['retry-after']).toBe('1');
      gate.open();
      for (const id of accepted) expect((await domain.jobs.ended(id, 20_000)).outcome).toBe('completed');
    },
  );

  // test/domain/jobs/jobs.test.ts has as many.
  test('is refused with Retry-After while there are as many jobs as there may be', async () => {
    const full = await app();
    vi.spyOn(full.domain.jobs as Jobs, 'start').mockImplementation(() => {
      throw new DomainError('too_many_jobs', 'A test.');
    });
    const save = await ask(full.server, '/snapshots', { body: { tag: TAG } });
    expect([save.status, save.json.code, save.headers['retry-after']]).toEqual([503, 'too_many_jobs', '1']);
  });

  test('with Prefer: wait answers with the ended job, completed or failed', async () => {
    const { server, blocks } = await app();
    const request = { body: { tag: TAG, 'job-id': 'mine' }, headers: WAIT };
    blocks.failures.set('digests', { code: 'no_space', message: 'No space is left.' });
    const failed = await ask(server, '/snapshots', request);
    expect([failed.status, failed.headers['preference-applied']]).toEqual([200, 'wait=30']);
    expect(failed.json).toMatchObject({ id: 'mine', outcome: 'failed', 'error-code': 'no_space' });
    blocks.failures.clear();
    const saved = await ask(server, '/snapshots', { ...request, body: { tag: TAG } });
    expect(saved.json).toMatchObject({ outcome: 'completed', result: { tag: TAG, 'vm-state-size': 2 ** 20 } });
  });

  test.each([
    [{}, 400, 'missing_member'],
    [{ tag: 7 }, 400, 'wrong_type'],
    [{ tag: 'a', nodes: [] }, 400, 'unknown_member'],
    [{ tag: 'a', devices: 'disk0' }, 400, 'wrong_type'],
    [{ tag: '' }, 422, 'invalid_tag'],
    [{ tag: '12' }, 422, 'invalid_tag'],
    [{ tag: 'a', 'job-id': '1' }, 422, 'invalid_job_id'],
    [{ tag: 'a', devices: [] }, 422, 'invalid_devices'],
    [{ tag: 'a', devices: ['disk0', 'disk0'] }, 422, 'invalid_devices'],
    [{ tag: 'a', vmstate: 'disk0', devices: ['disk1'] }, 422, 'invalid_devices'],
    [{ tag: 'a', devices: ['floppy'] }, 404, 'node_not_found'],
    [{ tag: TAG }, 409, 'snapshot_exists'],
  ])('with %j is refused with %i, and no job starts', async (body, status, code) => {
    const { server, blocks, machine } = unchanged();
    const reply = await ask(server, '/snapshots', { body });
    expect([reply.status, reply.json.code], reply.text).toEqual([status, code]);
    expect((await ask(server, '/jobs')).json).toEqual({ jobs: [] });
    expect([blocks.log, machine.held.size]).toEqual([[], 0]);
  });
});

describe('a snapshot of the nodes', () => {
  test('is shown with its parts and exact integers', async () => {
    const { server } = unchanged();
    const reply = await ask(server, PATH);
    expect(reply.json).toMatchObject({
      tag: TAG,
      id: '1',
      date: '2023-11-14T22:13:20.000Z',
      'vm-state-size': 4096,
      icount: null,
      vmstate: 'disk0',
      consistent: true,
      'has-digests': true,
      nodes: [
        { name: 'disk0', 'vm-state-size': 4096, 'has-digests': true },
        { name: 'disk1', 'vm-state-size': 0 },
      ],
    });
    expect(reply.text).toContain(`"vm-clock":${2n ** 60n + 1n},`);
    // The list has all but the digests, which would have to be read for each.
    const nodes = (reply.json.nodes as { readonly digests: unknown }[]).map(({ digests: _, ...node }) => node);
    expect((await ask(server, '/snapshots')).json).toEqual({ snapshots: [{ ...reply.json, nodes }], next: null });
  });

  test('is listed in pages that are linked', async () => {
    const { server } = await app('a', 'b', 'c');
    const tags: unknown[] = [];
    let path: string | undefined = '/snapshots?limit=2&node=disk1';
    while (path !== undefined) {
      const page = await ask(server, path);
      tags.push(...(page.json.snapshots as { tag: string }[]).map(({ tag }) => tag));
      path = /<(.*)>; rel="next"/.exec(String(page.headers.link))?.[1];
    }
    expect(tags.sort()).toEqual(['a', 'b', 'c']);
  });

  test('has its stored digests, or names the node without digests', async () => {
    const { server, blocks } = await app(TAG);
    const fault = 'The digests cannot be used, its SHA-256 is wrong';
    blocks.kept.set('disk1', { node: 'disk1', digests: null, fault });
    const { status, json } = await ask(server, PATH);
    expect(status).toBe(200);
    expect(json.nodes).toMatchObject([
      {
        name: 'disk0',
        'has-digests': true,
        digests: {
          'ram-blocks': [{ name: 'vm0.ram', size: 2 ** 20, digest: 'cd'.repeat(32) }],
          'device-state': 'ef'.repeat(32),
          disk: 'ab'.repeat(32),
        },
      },
      { name: 'disk1', digests: null, 'digests-error': fault },
    ]);
    expect((json.nodes as object[])[0]).not.toHaveProperty('digests-error');
  });

  test('is not found by an id, in another letter case or in another Unicode form', async () => {
    const { server } = unchanged();
    for (const tag of ['1', TAG.toUpperCase(), TAG.normalize('NFD'), 'none']) {
      const reply = await ask(server, `/snapshots/${encodeURIComponent(tag)}`);
      expect([reply.status, reply.json.code]).toEqual([404, 'snapshot_not_found']);
    }
    expect((await ask(server, '/snapshots?node=floppy')).json).toMatchObject({ status: 404, code: 'node_not_found' });
    expect((await ask(server, '/snapshots?cursor=x')).json).toMatchObject({ status: 400, code: 'invalid_cursor' });
  });

  test('with the longest tag has a path', async () => {
    const long = 'é'.repeat(127);
    const { server } = await app(long);
    expect((await ask(server, `/snapshots/${encodeURIComponent(long)}`)).json).toMatchObject({ tag: long });
  });

  test('is listed quickly among ten thousand snapshots', async () => {
    const blocks = new MemoryBlocks();
    blocks.putMany('disk0', 10_000);
    const { server } = await fakeApp({ blocks });
    await ask(server, '/snapshots?limit=1');
    const times: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      const from = performance.now();
      const reply = await ask(server, '/snapshots');
      times.push(performance.now() - from);
      expect((reply.json.snapshots as unknown[]).length).toBe(100);
    }
    expect(times.sort((a, b) => a - b)[4]).toBeLessThan(50);
  });
});

describe('load, verify and delete', () => {
  test.each([
    ['load', 'POST', `${PATH}/load`, 'load, apply, release'],
    ['verify', 'POST', `${PATH}/verify`, 'verify'],
    ['delete', 'DELETE', PATH, 'delete'],
  ] as const)('%s works on the nodes that have the tag', async (verb, method, path, steps) => {
    const { server, blocks } = await app(TAG);
    const reply = await ask(server, path, { method, headers: WAIT });
    expect(reply.status, reply.text).toBe(200);
    expect(reply.json).toMatchObject({ type: `snapshot-${verb}`, outcome: 'completed', warnings: [] });
    expect(reply.json.details).toMatchObject({ tag: TAG, devices: ['disk0', 'disk1'] });
    expect(reply.headers.location).toBe(`/jobs/${reply.json.id}`);
    expect(blocks.log).toEqual(steps.split(', ').map((step) => `${step} ${TAG}`));
    expect((await ask(server, PATH)).status).toBe(verb === 'delete' ? 404 : 200);
  });

  test('accept nodes and a job id in the body, or in the query of a deletion', async () => {
    const { server, blocks } = await app(TAG);
    const body = { 'job-id': 'a', vmstate: 'disk0', devices: ['disk0'] };
    const loaded = await ask(server, `${PATH}/load`, { body, headers: WAIT });
    expect(loaded.json).toMatchObject({ id: 'a', details: { vmstate: 'disk0', devices: ['disk0'] } });
    expect(loaded.json.warnings).toEqual([expect.stringContaining("'disk1'")]);
    const query = 'devices=disk1&job-id=b';
    const deleted = await ask(server, `${PATH}?${query}`, { method: 'DELETE', headers: WAIT });
    expect(deleted.json).toMatchObject({ id: 'b', result: { devices: ['disk1'] } });
    expect([blocks.tags('disk0'), blocks.tags('disk1')]).toEqual([[TAG], []]);
    const rest = await ask(server, PATH, { method: 'DELETE', body: { devices: ['disk0', 'disk1'] }, headers: WAIT });
    expect(rest.json).toMatchObject({ outcome: 'completed', result: { devices: ['disk0'] } });
  });

  test('of an unknown tag get 404, even if only the given nodes lack it', async () => {
    const { server, blocks } = await app();
    blocks.put('disk0', { tag: 'a', vmStateBytes: 1 });
    for (const path of ['/snapshots/none/load', '/snapshots/none/verify', '/snapshots/a/verify?devices=disk1']) {
      expect((await ask(server, path, { method: 'POST' })).json).toMatchObject({ code: 'snapshot_not_found' });
    }
    for (const path of ['/snapshots/none', '/snapshots/a?devices=disk1']) {
      expect((await ask(server, path, { method: 'DELETE' })).json).toMatchObject({ status: 404 });
    }
    expect(blocks.log).toEqual([]);
  });

  test('refuse a tag in the body, since the path has it', async () => {
    const { server, blocks } = await app('a', 'b');
    const reply = await ask(server, '/snapshots/a/load', { body: { tag: 'b' } });
    expect(reply.json).toMatchObject({ status: 400, code: 'unknown_member', errors: [{ pointer: '/tag' }] });
    expect(blocks.log).toEqual([]);
  });

  test('of a snapshot without VM state allow a verify and no load', async () => {
    const { server, blocks } = await app();
    blocks.put('disk0', { tag: 'a' });
    expect((await ask(server, '/snapshots/a/load', { method: 'POST' })).json).toMatchObject({
      status: 409,
      code: 'snapshot_without_vm_state',
    });
    const verified = await ask(server, '/snapshots/a/verify', { method: 'POST', headers: WAIT });
    expect(verified.json).toMatchObject({ outcome: 'completed', details: { vmstate: null } });
  });

  test('prevent POST /migrate while their job has the machine, and the error names the job', async () => {
    const { server, blocks } = await app();
    const gate = blocks.hold('save');
    const { json } = await ask(server, '/snapshots', { body: { tag: 'a' } });
    const refused = await ask(server, '/migrate', { body: { uri: 'tcp:127.0.0.1:4444' } });
    expect(refused.json).toMatchObject({ status: 409, code: 'job_in_progress' });
    expect(refused.json.detail).toContain(json.id);
    await expect.poll(async () => (await ask(server, '/status')).json.status).toBe('save-vm');
    const late = await ask(server, '/migrate/blockers', { body: { reason: 'A test.' } });
    expect(late.json).toMatchObject({ status: 409, code: 'job_in_progress' });
    expect(late.json.detail).toContain(json.id);
    gate.open();
  });
});
