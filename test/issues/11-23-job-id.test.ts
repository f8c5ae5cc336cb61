// `history` and ids of more than 256 characters cannot be a part of the HTTP path of a job. This was a rule of the
// domain, so QMP refused ids that QEMU accepts. Now it is a rule of the HTTP routes.

import { describe, expect, it } from 'vitest';
import { localService } from '../helpers/guest-service.ts';
import { shared } from '../helpers/shared.ts';

const LONG = `a${'b'.repeat(300)}`;
const service = shared(() => localService());

async function qmp(execute: string, arguments_: object = {}) {
  const reply = await service().call('/qmp', { body: { execute, arguments: arguments_ } });
  return reply.json as { return?: unknown; error?: { class: string; desc: string } };
}

describe('a job', () => {
  it.each(['history', LONG])('with the id %s can be started, found and ended over QMP', async (id) => {
    const answer = await qmp('snapshot-save', { 'job-id': id, tag: 't', vmstate: 'disk0', devices: ['disk0'] });
    expect(answer).toEqual({ return: {} });
    // Other jobs of this service have concluded before.
    const status = async () => {
      const { return: jobs } = await qmp('query-jobs');
      return (jobs as readonly { id: string; status: string }[]).find((job) => job.id === id)?.status;
    };
    await expect.poll(status, { interval: 20 }).toBe('concluded');
    const { jobs } = (await service().call('/jobs')).json as { jobs: readonly { id: string }[] };
    expect(jobs.map((job) => job.id)).toContain(id);
    expect(await qmp('job-dismiss', { id })).toEqual({ return: {} });
    expect((await service().call('/snapshots/t', { method: 'DELETE', headers: { prefer: 'wait=20' } })).status).toBe(
      200,
    );
  });

  it.each(['history', LONG])('with the id %s is refused over HTTP, which has no path for it', async (id) => {
    const requests = [
      service().call('/snapshots', { body: { tag: 't', 'job-id': id } }),
      service().call('/snapshots/t/load', { body: { 'job-id': id } }),
      service().call(`/snapshots/t?job-id=${id}`, { method: 'DELETE' }),
    ];
    for (const { status, json } of await Promise.all(requests)) {
      expect([status, json.code]).toEqual([422, 'invalid_job_id']);
      expect(json.detail).toContain('over HTTP');
    }
  });

  it('with a malformed id is refused through every door', async () => {
    for (const id of ['', '1a', 'a b', '_', 'ü']) {
      const answer = await qmp('snapshot-save', { 'job-id': id, tag: 't', vmstate: 'disk0', devices: ['disk0'] });
      expect(answer.error?.class).toBe('GenericError');
    }
  });
});
