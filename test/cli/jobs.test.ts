import { describe, expect, test } from 'vitest';
import { ioOf, runVmferry } from './fake-io.ts';
import { answers, concluded, fakeService, ok, problem, running } from './fake-service.ts';

const RUNNING = { ...running(32, 64), 'created-at': 'x', 'started-at': '2026-11-28T02:18:36.541Z', duration: 1473 };
const FAILED = { ...concluded('failed', 'no_space'), id: 'j2' };

describe('jobs', () => {
  test('prints the jobs as a table', async () => {
    const service = await fakeService();
    service.handler = answers({ 'GET /jobs': ok({ jobs: [RUNNING, FAILED] }) });
    const io = ioOf(service);
    expect(await runVmferry(io, 'jobs')).toBe(0);
    expect(io.stdout.split('\n')).toEqual([
      'ID  TYPE           STATUS     OUTCOME  DONE   TOOK   STARTED               ERROR',
      'j1  snapshot-save  running    -        50 %   1.5 s  2026-11-28T02:18:36Z  -',
      'j2  snapshot-save  concluded  failed   100 %  -      -                     no_space',
      '',
    ]);
  });

  test('with --history prints all pages of ended jobs', async () => {
    const service = await fakeService();
    service.handler = answers({
      'GET /jobs/history?limit=1000': {
        ...ok({ jobs: [RUNNING] }),
        headers: { link: '</jobs/history?cursor=a>; rel="next"' },
      },
      'GET /jobs/history?cursor=a': ok(`{"jobs":[{"id":"j2","n":18446744073709551615}]}`),
    });
    const io = ioOf(service);
    expect(await runVmferry(io, 'jobs', '--history', '--json')).toBe(0);
    expect(io.stdout).toBe(`{"jobs":[${JSON.stringify(RUNNING)},{"id":"j2","n":18446744073709551615}]}\n`);
    const quiet = ioOf(service);
    expect([await runVmferry(quiet, 'jobs', 'list', '--history', '-q'), quiet.stdout]).toEqual([0, 'j1\nj2\n']);
  });

  test('show prints one line for each member', async () => {
    const service = await fakeService();
    service.handler = answers({ 'GET /jobs/a%2Fb': ok({ ...RUNNING, result: null, details: { tag: 'x' } }) });
    const io = ioOf(service);
    expect(await runVmferry(io, 'jobs', 'show', 'a/b')).toBe(0);
    for (const line of [
      'id: j1',
      'current-progress: 32.0 MiB',
      'result: -',
      'details: {"tag":"x"}',
      'duration: 1473',
    ]) {
      expect(io.stdout.split('\n')).toContain(line);
    }
  });

  test.each(['cancel', 'pause', 'resume', 'finalize', 'complete', 'dismiss'])(
    '%s is sent to the service',
    async (verb) => {
      const service = await fakeService();
      service.handler = answers({ [`POST /jobs/j2/${verb}`]: ok(FAILED) });
      const io = ioOf(service);
      expect(await runVmferry(io, 'jobs', verb, 'j2')).toBe(0);
      expect([io.stdout, io.stderr]).toEqual(['job j2: concluded, failed\n', '']);
      const json = ioOf(service);
      expect([await runVmferry(json, 'jobs', verb, 'j2', '--json'), json.lines]).toEqual([0, [FAILED]]);
    },
  );

  test('a refused verb ends with 4', async () => {
    const service = await fakeService();
    service.handler = () => problem(409, 'job_verb_not_allowed', 'Not now.');
    const io = ioOf(service);
    expect(await runVmferry(io, 'jobs', 'pause', 'j2')).toBe(4);
    expect(io.stderr).toBe('vmferry: job j2: pause: refused (409 job_verb_not_allowed): Not now.\n');
  });

  test('an unknown verb ends with 2 and no request', async () => {
    const service = await fakeService();
    const io = ioOf(service);
    expect(await runVmferry(io, 'jobs', 'pausee', 'j2')).toBe(2);
    expect(service.asked).toEqual([]);
  });
});
