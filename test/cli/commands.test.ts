import { describe, expect, test } from 'vitest';
import { FakeIo, ioOf, run } from './fake-io.ts';
import { concluded, fakeService, problem, running } from './fake-service.ts';

describe('a job that completes', () => {
  test('is followed to its end, and the result is on standard output with the status 0', async () => {
    const service = await fakeService(running(0, 0, 'created'), running(16, 64), running(48, 64), concluded());
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm')).toBe(0);
    expect(io.stdout).toBe('saved warm: 64.0 MiB in 0.1 s\n');
    expect(io.stderr).toBe('saving warm: created\n');
    expect(service.asked).toEqual(['POST /snapshots', 'GET /jobs/j1', 'GET /jobs/j1', 'GET /jobs/j1']);
  });

  test.each([
    ['load', 'POST /snapshots/a%2Fb%20%C3%A4/load', 'loaded a/b ä: 64.0 MiB in 0.0 s\n'],
    ['delete', 'DELETE /snapshots/a%2Fb%20%C3%A4', 'deleted a/b ä: 0.0 s\n'],
    ['verify', 'POST /snapshots/a%2Fb%20%C3%A4/verify', 'verified a/b ä: 64.0 MiB in 0.0 s\n'],
  ])('is started by %s with the tag in the path', async (verb, asked, said) => {
    const service = await fakeService(concluded());
    const io = ioOf(service);
    expect(await run(io, verb, 'a/b ä')).toBe(0);
    expect([service.asked, io.stdout]).toEqual([[asked], said]);
  });

  test('is started by compact for the given nodes, and its result has the sizes of each image', async () => {
    const sizes = {
      'file-size-before': 2 ** 23,
      'file-size': 2 ** 21,
      'disk-usage-before': 2 ** 22,
      'disk-usage': 2 ** 21,
    };
    const result = { nodes: [{ name: 'disk0', ...sizes, 'moved-bytes': 2 ** 20 }] };
    const service = await fakeService({ ...concluded(), type: 'snapshot-compact', result });
    const io = ioOf(service);
    expect(await run(io, 'compact', '--node', 'disk0', '--node=disk1')).toBe(0);
    expect([service.asked, service.requests[0]?.body]).toEqual([
      ['POST /images/compact'],
      { devices: ['disk0', 'disk1'] },
    ]);
    expect(io.stdout).toBe('compacted images: 0.0 s\n  disk0: file 8.0 MiB to 2.0 MiB, on disk 4.0 MiB to 2.0 MiB\n');
  });

  test('is started with the values of the options and an idempotency key', async () => {
    const service = await fakeService(concluded());
    const options = ['--vmstate', 'disk0', '--device', 'disk0', '--device=disk1', '--job-id', 'mine'];
    expect(await run(ioOf(service), 'save', 'warm', ...options, '--idempotency-key', 'run-7')).toBe(0);
    const [request] = service.requests;
    expect(request?.body).toEqual({ tag: 'warm', vmstate: 'disk0', devices: ['disk0', 'disk1'], 'job-id': 'mine' });
    expect(request?.headers).toMatchObject({ 'idempotency-key': 'run-7', 'content-type': 'application/json' });
  });

  test('has a new idempotency key for each command without --idempotency-key', async () => {
    const service = await fakeService(concluded());
    for (const _ of [1, 2]) await run(ioOf(service), 'load', 'warm');
    const keys = service.requests.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), expect.any(String)]);
    expect(keys[0]).not.toBe(keys[1]);
  });

  test('gets a tag from the time without a TAG, and --quiet prints only the tag', async () => {
    const service = await fakeService(concluded());
    const io = ioOf(service);
    expect(await run(io, 'save', '--quiet')).toBe(0);
    expect(service.requests[0]?.body).toEqual({ tag: 'vm-20261104021526' });
    expect([io.stdout, io.stderr]).toEqual(['vm-20261104021526\n', '']);
  });

  test('has its warnings on standard error', async () => {
    const io = ioOf(await fakeService(concluded('completed', null, ['One.', 'Two.'])));
    expect(await run(io, 'load', 'warm', '-q')).toBe(0);
    expect(io.stderr).toBe('vmferry: loading warm: warning: One.\nvmferry: loading warm: warning: Two.\n');
  });

  test('is reported with the saved size, not the size that was read back', async () => {
    const io = ioOf(await fakeService({ ...concluded(), result: { tag: 'warm', 'vm-state-size': 2 ** 21 } }));
    await run(io, 'save', 'warm');
    expect(io.stdout).toBe('saved warm: 2.0 MiB in 0.0 s\n');
  });

  test('reports that a snapshot of another program was verified without digests', async () => {
    const result = { 'had-digests': false, digests: [], 'checked-bytes': 2 ** 20 };
    const io = ioOf(await fakeService({ ...concluded(), result }));
    expect(await run(io, 'verify', 'warm')).toBe(0);
    expect(io.stdout).toMatch(
      /^verified warm: 1\.0 MiB in .* s, its structure only, since no digests were kept with it\n$/,
    );
  });

  test('is not awaited with --no-wait', async () => {
    const service = await fakeService(running(0, 0, 'created'));
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm', '--no-wait', '-q')).toBe(0);
    expect([io.stdout, io.stderr, service.asked]).toEqual(['j1\n', '', ['POST /snapshots']]);
  });
});

describe('a job that does not complete', () => {
  test.each([
    ['failed', concluded('failed', 'no_space'), 'failed (no_space): It says no_space.'],
    ['was cancelled', concluded('cancelled', 'job_cancelled'), 'was cancelled (job_cancelled): It says job_cancelled.'],
    ['gives no reason', concluded('failed'), 'job j1 failed'],
    ['has only an error text', { ...concluded('failed'), error: 'Broken.' }, 'failed: Broken.'],
    ['has no outcome', { ...concluded(), outcome: undefined }, 'job j1 failed'],
    ['completed with an error', concluded('completed', 'odd'), 'failed (odd): It says odd.'],
  ])('ends with 1 and one line if it %s', async (_, state, said) => {
    const io = ioOf(await fakeService(state));
    expect(await run(io, 'load', 'warm')).toBe(1);
    expect([io.stdout, io.stderr]).toEqual(['', `vmferry: loading warm: ${said}\n`]);
  });

  test('reports every damaged place that a verify found', async () => {
    const ram = { node: 'disk0', 'ram-block': 'pc.ram', area: 'ram', offset: 131072, bytes: 65536, 'file-offset': 7 };
    const table = { node: 'disk1', 'ram-block': null, area: 'metadata', offset: 64, bytes: 8, 'file-offset': null };
    const state = { ...concluded('failed', 'snapshot_damaged'), result: { damage: [ram, table] } };
    const io = ioOf(await fakeService(state));
    expect(await run(io, 'verify', 'warm')).toBe(1);
    expect(io.stderr.split('\n')).toEqual([
      'vmferry: verifying warm: damaged: node disk0: RAM block pc.ram: 65536 bytes at 131072 (byte 7 of the image file)',
      'vmferry: verifying warm: damaged: node disk1: tables of the image: 8 bytes at 64',
      'vmferry: verifying warm: failed (snapshot_damaged): It says snapshot_damaged.',
      '',
    ]);
  });

  test('prints no control characters from the service', async () => {
    const error = 'a\u001b[2Jb\nc\u202ed';
    const io = ioOf(await fakeService({ ...concluded('failed', 'x'), error }));
    await run(io, 'load', 'wa\u001b[1mrm');
    expect(io.stderr).toBe('vmferry: loading wa [1mrm: failed (x): a [2Jb c d\n');
  });
});

describe('a refusal', () => {
  test.each([
    [400, 'unknown_member'],
    [403, 'foreign_origin'],
    [404, 'snapshot_not_found'],
    [409, 'job_in_progress'],
    [422, 'invalid_tag'],
    [501, 'capability_not_available'],
  ])('of status %i ends with 4 and prints the code', async (status, code) => {
    const service = await fakeService();
    service.handler = () => problem(status, code, 'Because.');
    const io = ioOf(service);
    expect(await run(io, 'delete', 'warm')).toBe(4);
    expect([io.stdout, io.stderr]).toEqual(['', `vmferry: deleting warm: refused (${status} ${code}): Because.\n`]);
  });
});

describe('an invalid or missing answer', () => {
  test.each([
    [
      'is an HTML page',
      { status: 200, body: '<html>', headers: { 'content-type': 'text/html' } },
      'status 200 without JSON',
    ],
    ['is no job', { status: 202, body: [] }, 'it is not a job'],
    ['has no id', { status: 202, body: { status: 'running' } }, 'the job has no id or status'],
    ['has no progress', { status: 202, body: { id: 'x', status: 'running' } }, 'job x has no progress'],
    ['has an invalid outcome', { status: 202, body: { ...running(), outcome: 7 } }, 'job j1 has an invalid outcome'],
    ['is an error without a code', { status: 404, body: {} }, 'status 404'],
    ['is a redirect', { status: 302, body: {}, headers: { location: '/elsewhere' } }, 'status 302'],
    ['is an error of a proxy', { status: 500, body: {} }, 'status 500'],
  ])('ends the command with 3 if it %s', async (_, answer, said) => {
    const service = await fakeService();
    service.handler = () => answer;
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm')).toBe(3);
    expect(io.stderr).toBe(`vmferry: saving warm: the answer is not from a vmferry service: ${said}\n`);
    expect(service.requests).toHaveLength(1);
  });

  test.each([
    [500, 'internal_error'],
    [507, 'no_space'],
  ])('ends the command with 3 and the reason if the service fails with %i %s', async (status, code) => {
    const service = await fakeService();
    service.handler = () => problem(status, code);
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm')).toBe(3);
    expect(io.stderr).toBe(`vmferry: saving warm: the service failed (${status} ${code}): It says ${code}.\n`);
    expect(service.requests).toHaveLength(1);
  });

  test('ends the command with 3 at once if nothing listens', async () => {
    const service = await fakeService();
    await service.stop();
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm')).toBe(3);
    expect(io.stderr).toBe(`vmferry: saving warm: cannot reach ${service.url}: nothing listens there (ECONNREFUSED)\n`);
    expect(io.nowMs).toBe(0);
  });

  test('ends the command with 3 at once if the service is shutting down', async () => {
    const service = await fakeService();
    service.handler = () => problem(503, 'shutting_down');
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm')).toBe(3);
    expect(io.stderr).toContain('the service does not take requests now: status 503, shutting_down');
    expect(service.requests).toHaveLength(1);
  });
});

describe('list', () => {
  const first = { tag: 'warm', 'vm-clock-nsec': 2 ** 40 };

  test('joins all pages into one JSON document with exact integers', async () => {
    const service = await fakeService();
    const pages = new Map([
      [
        '/snapshots?limit=1000',
        { body: `{"snapshots":[{"tag":"a","n":18446744073709551615}]}`, next: '</snapshots?cursor=b%3D>' },
      ],
      ['/snapshots?cursor=b%3D', { body: { snapshots: [{ tag: 'b' }] }, next: '<http://other/snapshots?cursor=c>' }],
      ['/snapshots?cursor=c', { body: { snapshots: [{ tag: 'c' }] }, next: null }],
    ]);
    service.handler = ({ path }) => {
      const page = pages.get(path);
      if (page === undefined) return problem(404, 'not_found');
      const link = page.next === null ? '</snapshots>; rel="first"' : `</docs?x>; rel="help", ${page.next}; rel="next"`;
      return { status: 200, body: page.body, headers: { link } };
    };
    const io = ioOf(service);
    expect(await run(io, 'list', '--json')).toBe(0);
    expect(io.stdout).toBe('{"snapshots":[{"tag":"a","n":18446744073709551615},{"tag":"b"},{"tag":"c"}]}\n');
  });

  test('prints only the tags with --quiet, and nothing if there are no snapshots', async () => {
    const service = await fakeService();
    service.handler = () => ({ status: 200, body: { snapshots: [first, { tag: 'b' }] } });
    const io = ioOf(service);
    expect([await run(io, 'list', '-q'), io.stdout]).toEqual([0, 'warm\nb\n']);
    service.handler = () => ({ status: 200, body: { snapshots: [] } });
    const other = ioOf(service);
    expect([await run(other, 'list', '-q'), other.stdout]).toEqual([0, '']);
  });

  test('requests one snapshot, and ends with 4 if it does not exist', async () => {
    const service = await fakeService();
    service.handler = ({ path }) =>
      path === '/snapshots/warm' ? { status: 200, body: first } : problem(404, 'snapshot_not_found');
    const io = ioOf(service);
    expect(await run(io, 'list', 'warm', '--json')).toBe(0);
    expect(JSON.parse(io.stdout)).toEqual({ snapshots: [first] });
    const other = ioOf(service);
    expect(await run(other, 'list', 'cold')).toBe(4);
    expect(other.stderr).toBe('vmferry: listing cold: refused (404 snapshot_not_found): It says snapshot_not_found.\n');
  });

  test('stops reading a list whose pages never end', async () => {
    const service = await fakeService();
    const headers = { link: '</snapshots?cursor=again>; rel="next"' };
    service.handler = () => ({ status: 200, body: { snapshots: [] }, headers });
    const io = ioOf(service);
    expect(await run(io, 'list')).toBe(3);
    expect(io.stderr).toContain('more than 1000 pages');
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends at %s with %i', async (name, status) => {
    const service = await fakeService();
    const io = ioOf(service);
    service.handler = () => {
      io.signal(name);
      return 'cut';
    };
    expect(await run(io, 'list')).toBe(status);
    expect([io.stdout, io.stderr]).toEqual(['', '']);
  });
});

test('a defect of the client ends with 3, since the job has not failed', async () => {
  const io = ioOf(await fakeService(running(1, 2)));
  io.onWait = () => {
    throw new TypeError('x is not a function');
  };
  expect(await run(io, 'save', 'warm', '-q')).toBe(3);
  expect(io.stderr).toBe('vmferry: the client failed: TypeError: x is not a function\n');
});

describe('the requested service', () => {
  test('has the address of --url before that of VMFERRY_URL, and requests are below its path', async () => {
    const service = await fakeService();
    service.handler = () => ({ status: 202, body: concluded() });
    const io = new FakeIo('http://127.0.0.1:1');
    expect(await run(io, '--url', `${service.url}/below/`, 'load', 'warm')).toBe(0);
    expect(service.asked).toEqual(['POST /below/snapshots/warm/load']);
  });

  test('receives the path of a tag of dots unchanged', async () => {
    const service = await fakeService(concluded());
    await run(ioOf(service), 'delete', '..');
    expect(service.asked[0]).toBe('DELETE /snapshots/..');
  });

  test('receives the token of VMFERRY_TOKEN', async () => {
    const service = await fakeService(concluded());
    const io = ioOf(service);
    io.environment = { ...io.environment, token: 'abc' };
    expect(await run(io, 'load', 'warm')).toBe(0);
    expect(service.requests[0]?.headers.authorization).toBe('Bearer abc');
  });
});
