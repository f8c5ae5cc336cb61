import { describe, expect, test } from 'vitest';
import { ioOf, run } from './fake-io.ts';
import { concluded, fakeService, problem, running } from './fake-service.ts';

describe('a time-out', () => {
  test('ends with 5 and does not cancel the job', async () => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm', '--timeout', '5', '-q')).toBe(5);
    expect(io.nowMs).toBe(5000);
    expect(io.stderr).toBe('vmferry: saving warm: not done after 5.0 s: job j1 still runs (running)\n');
    expect(service.asked.filter((asked) => asked.includes('cancel'))).toEqual([]);
  });

  test('of zero seconds requests the job once', async () => {
    const io = ioOf(await fakeService(running()));
    expect(await run(io, 'save', 'warm', '--timeout', '0')).toBe(5);
    expect(io.nowMs).toBe(0);
  });

  test('has no effect on a job that ended at the same moment', async () => {
    const io = ioOf(await fakeService(concluded()));
    expect(await run(io, 'save', 'warm', '--timeout', '0')).toBe(0);
  });

  test('with --cancel-on-timeout cancels the job, waits for its end, and ends with 5', async () => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm', '--timeout', '2', '--cancel-on-timeout')).toBe(5);
    expect(service.asked.slice(-2)).toEqual(['POST /jobs/j1/cancel', 'GET /jobs/j1']);
    expect(io.stderr).toContain('saving warm: job j1 is being cancelled\n');
    expect(io.stderr).toMatch(/not done after 2\.\d s: was cancelled \(job_cancelled\)/);
  });

  test.each([
    ['completed before the cancel', 0, concluded()],
    ['failed before the cancel', 1, concluded('failed', 'no_space')],
  ])('reports the outcome of a job that %s, with status %i', async (_, status, state) => {
    const service = await fakeService(running(1, 64));
    service.handler = (seen) => {
      if (!seen.path.endsWith('/cancel')) return service.serve(seen);
      service.states.splice(0, 1, state);
      return problem(409, 'job_not_cancellable');
    };
    expect(await run(ioOf(service), 'save', 'warm', '--timeout', '2', '--cancel-on-timeout')).toBe(status);
  });

  test('ends the wait for a cancelled job that does not end', async () => {
    const service = await fakeService(running(1, 64));
    service.handler = (seen) =>
      seen.path.endsWith('/cancel') ? { status: 200, body: { outcome: 'cancelled' } } : service.serve(seen);
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm', '--timeout', '2', '--cancel-on-timeout')).toBe(5);
    expect(io.stderr).toMatch(/job j1 still runs \(running\)\n$/);
    expect(io.nowMs).toBeLessThan(70_000);
  });

  test('ends a request to a service that does not answer', async () => {
    const service = await fakeService(running());
    service.handler = (seen) => (seen.method === 'GET' ? new Promise(() => {}) : service.serve(seen));
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm', '--timeout', '0.1')).toBe(5);
  });
});

describe('an interrupt', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by %s cancels the job, waits for its end, and ends with %i', async (name, status) => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    io.onWait = (nowMs) => void (nowMs > 1000 && io.signal(name));
    expect(await run(io, 'load', 'warm')).toBe(status);
    expect(service.asked.slice(-2)).toEqual(['POST /jobs/j1/cancel', 'GET /jobs/j1']);
    expect(io.stderr).toContain('vmferry: loading warm: interrupted: was cancelled (job_cancelled)');
    expect(io.stdout).toBe('');
  });

  test('before the first answer of the service also cancels the job', async () => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    service.handler = (seen) => {
      io.signal('SIGINT');
      return service.serve(seen);
    };
    expect(await run(io, 'save', 'warm', '--no-wait')).toBe(130);
    expect(service.asked).toEqual(['POST /snapshots', 'POST /jobs/j1/cancel', 'GET /jobs/j1']);
  });

  test('after the completion of the job reports the completion, and ends with 130', async () => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    service.handler = (seen) => {
      if (!seen.path.endsWith('/cancel')) return service.serve(seen);
      service.states.splice(0, 1, concluded());
      return { status: 200, body: { outcome: 'already-completed' } };
    };
    io.onWait = () => io.signal('SIGINT');
    expect(await run(io, 'save', 'warm')).toBe(130);
    expect(io.stderr).toContain('interrupted: job j1 had completed already');
  });

  test('ends the command at once if the service is unreachable, with a message', async () => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    io.onWait = async () => {
      await service.stop();
      io.signal('SIGINT');
    };
    expect(await run(io, 'save', 'warm')).toBe(130);
    expect(io.stderr).toContain('job j1 could not be cancelled: cannot reach');
    expect(io.nowMs).toBeLessThan(1000);
  });
});

describe('a lost connection', () => {
  test('is tried again until the service answers, and a failed job gives the status 1', async () => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    io.onWait = async (nowMs) => {
      if (nowMs === 0) await service.stop();
      else if (nowMs > 5000 && service.states[0]?.status !== 'concluded') {
        service.states.splice(0, 1, concluded('failed', 'service_stopped'));
        await service.start();
      }
    };
    expect(await run(io, 'save', 'warm')).toBe(1);
    expect(io.stderr.match(/cannot reach .*; trying again/g)).toHaveLength(1);
    expect(io.stderr).toMatch(/saving warm: failed \(service_stopped\): It says service_stopped\.\n$/);
  });

  test('for longer than --reconnect ends the command with 3', async () => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    io.onWait = () => service.stop();
    expect(await run(io, 'save', 'warm', '--reconnect', '4')).toBe(3);
    expect(io.stderr).toMatch(/the outcome of job j1 is unknown: cannot reach .* \(ECONNREFUSED\)\n$/);
    expect(io.nowMs).toBeGreaterThanOrEqual(4000);
    expect(io.nowMs).toBeLessThan(5000);
  });

  test('does not delay a time-out', async () => {
    const service = await fakeService(running(1, 64));
    const io = ioOf(service);
    io.onWait = () => service.stop();
    expect(await run(io, 'save', 'warm', '--timeout', '3')).toBe(5);
    expect(io.nowMs).toBe(3000);
  });

  test.each([502, 503, 504])('is also assumed at a status of %i from a proxy', async (status) => {
    const service = await fakeService(running(1, 64), concluded());
    let isFirst = true;
    service.handler = (seen) => {
      if (seen.method !== 'GET' || !isFirst) return service.serve(seen);
      isFirst = false;
      return { status, body: 'no', headers: { 'content-type': 'text/plain' } };
    };
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm')).toBe(0);
    expect(io.stderr).toContain(`the service does not take requests now: status ${status}; trying again`);
  });

  test('during the start of the job repeats the request with the same idempotency key', async () => {
    const service = await fakeService(concluded());
    service.handler = (seen) => (service.requests.length < 3 ? 'cut' : service.serve(seen));
    expect(await run(ioOf(service), 'save', 'warm')).toBe(0);
    const keys = service.requests.map(({ headers }) => headers['idempotency-key']);
    expect([keys.length, new Set(keys).size]).toEqual([3, 1]);
    expect(service.requests.map(({ body }) => body)).toEqual(Array(3).fill({ tag: 'warm' }));
  });

  test('during the start of the job is tried again while the service works on the first request', async () => {
    const service = await fakeService(concluded());
    service.handler = (seen) => {
      if (service.requests.length === 1) return 'cut';
      return service.requests.length === 2 ? problem(409, 'idempotency_key_in_use') : service.serve(seen);
    };
    expect(await run(ioOf(service), 'save', 'warm')).toBe(0);
  });

  test('during every attempt to start the job ends the command with 3', async () => {
    const service = await fakeService();
    service.handler = () => 'cut';
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm', '--reconnect', '2')).toBe(3);
    expect(io.stderr).toMatch(/vmferry: saving warm: lost .*: the connection was closed \(ECONNRESET\)\n$/);
  });
});

test('a job whose id belongs to another job by now ends with 3, with any outcome of the other job', async () => {
  const [first, later] = [running(1, 64), concluded()].map((job, at) => ({
    ...job,
    'created-at': `2026-01-0${at + 1}`,
  }));
  const io = ioOf(await fakeService(first!, later!));
  expect(await run(io, 'save', 'warm', '--job-id', 'j1', '--idempotency-key', 'k')).toBe(3);
  expect(io.stderr).toContain('the outcome of job j1 is unknown: another job has the id j1 now, created at 2026-01-02');
});

describe('a job that the service no longer knows', () => {
  test('ends with 3, since its outcome is unknown', async () => {
    const service = await fakeService(running());
    service.handler = (seen) => (seen.method === 'GET' ? problem(404, 'job_not_found') : service.serve(seen));
    const io = ioOf(service);
    expect(await run(io, 'save', 'warm', '-q')).toBe(3);
    expect(io.stderr).toBe(
      'vmferry: saving warm: the outcome of job j1 is unknown: refused (404 job_not_found): It says job_not_found.\n',
    );
  });
});
