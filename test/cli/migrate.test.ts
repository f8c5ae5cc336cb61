import { describe, expect, test } from 'vitest';
import { type FakeIo, ioOf, runVmferry } from './fake-io.ts';
import { type Answer, type FakeService, fakeService, ok, problem, type Seen } from './fake-service.ts';

const URI = 'tcp:10.0.0.7:4444';
const RESULT = { status: 'completed', 'total-time': 2040, downtime: 16, ram: { transferred: 83302521 } };
const PROGRESS = {
  status: 'active',
  'first-pass-percent': 64.2,
  pass: 1,
  verdict: { verdict: 'converging', reason: 'It goes well.' },
  rate: 2 ** 20 * 59.4,
  remaining: 2 ** 20 * 92,
  'expected-downtime': 300,
  'downtime-limit': 300,
  'time-to-go': { min: 2000, max: 2000 },
};

function migration(status: string, more: object = {}): Record<string, unknown> {
  return { id: 'm1', uri: URI, status, error: null, guest: null, ...more };
}

type Script = {
  readonly states: object[];
  readonly progress?: object[];
  readonly cancel?: (seen: Seen) => Answer;
  readonly machine?: () => Answer;
};

/** A service whose migration passes through the given states: each request gets the next one, and the last one is repeated. */
async function migrating({ states, progress = [PROGRESS], cancel, machine }: Script): Promise<FakeService> {
  const service = await fakeService();
  const next = (list: object[]): object => (list.length > 1 ? list.shift() : list[0]) ?? {};
  service.handler = (seen) => {
    switch (`${seen.method} ${seen.path}`) {
      case 'POST /migrate':
        return { status: 202, body: migration('setup') };
      case 'GET /migrations/m1':
        return ok(next(states));
      case 'GET /migrate/progress':
        return ok(next(progress));
      case 'GET /machine':
        return machine?.() ?? ok({ kind: 'synthetic', panic: null });
      case 'POST /migrate/cancel':
        return cancel?.(seen) ?? ok({ outcome: 'nothing-to-cancel' });
      default:
        return problem(404, 'not_found');
    }
  };
  return service;
}

const COMPLETED = migration('completed', { guest: 'there', result: RESULT });
const FAILED = migration('failed', { guest: 'here', error: { code: 'connection_refused', desc: 'Nobody listens.' } });

describe('migrate', () => {
  test('ends when the migration has started, and prints its id', async () => {
    const service = await migrating({ states: [COMPLETED] });
    const io = ioOf(service);
    expect(await runVmferry(io, 'migrate', URI)).toBe(0);
    expect(io.stdout).toBe(`migrating to ${URI}: migration m1 has started\n`);
    expect(service.asked).toEqual(['POST /migrate']);
    expect(service.requests[0]?.body).toEqual({ uri: URI });
    const quiet = ioOf(service);
    expect([await runVmferry(quiet, 'migrate', URI, '-q'), quiet.stdout]).toEqual([0, 'm1\n']);
  });

  test('sends the given idempotency key', async () => {
    const service = await migrating({ states: [COMPLETED] });
    await runVmferry(ioOf(service), 'migrate', URI, '--resume', '--idempotency-key', 'k');
    expect(service.requests[0]?.body).toEqual({ uri: URI, resume: true });
    expect(service.requests[0]?.headers['idempotency-key']).toBe('k');
  });

  test('ends with 4 after a refusal', async () => {
    const service = await fakeService();
    service.handler = () => problem(409, 'migration_in_progress', 'One runs.');
    const io = ioOf(service);
    expect(await runVmferry(io, 'migrate', URI)).toBe(4);
    expect(io.stderr).toBe(`vmferry: migrating to ${URI}: refused (409 migration_in_progress): One runs.\n`);
  });

  test.each([
    [['--timeout', '1'], '--timeout needs --wait'],
    [['--wait', '--cancel-on-timeout'], '--cancel-on-timeout needs --timeout'],
  ])('%j ends with 2 and no request', async (words, said) => {
    const service = await migrating({ states: [COMPLETED] });
    const io = ioOf(service);
    expect(await runVmferry(io, 'migrate', URI, ...words)).toBe(2);
    expect([io.stderr.includes(said), service.asked]).toEqual([true, []]);
  });
});

describe('migrate --wait', () => {
  test('follows the migration to its end, and prints size, time and downtime', async () => {
    const io = ioOf(await migrating({ states: [migration('active'), COMPLETED] }));
    expect(await runVmferry(io, 'migrate', URI, '--wait')).toBe(0);
    expect(io.stdout).toBe(`migrated to ${URI}: 79.4 MiB in 2.0 s, downtime 16 ms\n`);
  });

  test('prints pass, rate, remaining bytes, downtime and remaining time in lines', async () => {
    const states = [...Array(20).fill(migration('active')), COMPLETED];
    const io = ioOf(await migrating({ states }));
    await runVmferry(io, 'migrate', URI, '--wait');
    expect(io.stderr.split('\n').at(-2)).toBe(
      `migrating to ${URI}: active, 64 %, pass 1, 59.4 MiB/s, 92.0 MiB left, downtime 300 ms, 0:02 to go`,
    );
  });

  test('shows the figures and a bar on a terminal', async () => {
    const io = ioOf(await migrating({ states: [migration('active'), COMPLETED] }));
    io.width = 130;
    await runVmferry(io, 'migrate', URI, '--wait');
    const shown = io.stderr.split('\r\u001b[K');
    expect(shown.at(-2)).toMatch(/ {2}active {2}\[#+\.+\] {2}64 % {2}pass 1 {2}.* {2}0:02 to go$/);
    expect(shown.at(-1)).toBe('');
  });

  test('prints a verdict of no convergence once', async () => {
    const verdict = { verdict: 'hopeless', reason: 'It dirties more than is sent.' };
    const progress = [PROGRESS, { ...PROGRESS, verdict, 'time-to-go': null }];
    const states = [...Array(5).fill(migration('active')), COMPLETED];
    const io = ioOf(await migrating({ states, progress }));
    await runVmferry(io, 'migrate', URI, '--wait');
    expect(io.stderr.match(/hopeless: It dirties more than is sent\./g)).toHaveLength(1);
  });

  test.each([
    [FAILED, 'failed (connection_refused): Nobody listens; the guest is here'],
    [migration('cancelled', { guest: 'here' }), 'cancelled; the guest is here'],
    [migration('failed', { guest: 'unknown' }), 'failed; it is unknown which side has the guest'],
  ])('ends with 1 and prints which side has the guest: %j', async (state, said) => {
    const io = ioOf(await migrating({ states: [state] }));
    expect(await runVmferry(io, 'migrate', URI, '--wait', '-q')).toBe(1);
    expect([io.stdout, io.stderr]).toEqual(['', `vmferry: migrating to ${URI}: ${said}\n`]);
  });

  test('ends with 1 if it completed with a panicked guest, and prints the panic', async () => {
    const machine = () => ok({ panic: { kind: 'torn', address: 4096, detail: 'page 1 is torn' } });
    for (const options of [[], ['--json']]) {
      const io = ioOf(await migrating({ states: [COMPLETED], machine }));
      expect(await runVmferry(io, 'migrate', URI, '--wait', '-q', ...options)).toBe(1);
      if (options.length === 0) expect(io.stderr).toContain('completed, but the guest had panicked (torn): page 1');
      else expect(io.lines.at(-1)).toMatchObject({ 'exit-status': 1, panic: { kind: 'torn' }, outcome: 'completed' });
    }
  });

  test('ends with 0 if it completed and its source no longer answers', async () => {
    const io = ioOf(await migrating({ states: [COMPLETED], machine: () => problem(404, 'not_found') }));
    expect(await runVmferry(io, 'migrate', URI, '--wait')).toBe(0);
    expect(io.stderr).toContain('it is unknown whether the guest had panicked');
  });

  test('prints progress, events and the result as JSON lines', async () => {
    const service = await migrating({ states: [migration('active'), COMPLETED] });
    const plain = service.handler;
    const event = { event: 'MIGRATION', data: { status: 'active' }, timestamp: { seconds: 1, microseconds: 0 } };
    const pieces = [`id: 7\nevent: MIGRATION\ndata: ${JSON.stringify(event)}\n\n`];
    const headers = { 'content-type': 'text/event-stream' };
    service.handler = (seen) => (seen.path === '/events' ? { status: 200, headers, pieces } : plain(seen));
    const io = ioOf(service);
    expect(await runVmferry(io, 'migrate', URI, '--wait', '--json')).toBe(0);
    expect(io.lines).toContainEqual({ type: 'event', id: 7, ...event });
    expect(io.lines).toContainEqual({ type: 'progress', progress: PROGRESS });
    const result = {
      type: 'result',
      'exit-status': 0,
      outcome: 'completed',
      stopped: null,
      replayed: false,
      panic: null,
      migration: COMPLETED,
    };
    expect(io.lines.at(-1)).toEqual(result);
    expect(service.asked.slice(0, 2)).toEqual(['GET /events', 'POST /migrate']);
  });
});

describe('an interrupt', () => {
  async function interrupted(outcome: string, end: object, signal: 'SIGINT' | 'SIGTERM' = 'SIGINT') {
    const states: object[] = [migration('active')];
    const cancel = (): Answer => {
      states.splice(0, 1, end);
      return ok({ outcome });
    };
    const service = await migrating({ states, cancel });
    const io: FakeIo = ioOf(service);
    io.onWait = () => io.signal(signal);
    return {
      status: await runVmferry(io, 'migrate', URI, '--wait'),
      said: io.stderr.split('\n').at(-2),
      service,
    };
  }

  test.each([
    ['cancelled', migration('cancelled', { guest: 'here' }), 'cancelled; the guest is here'],
    ['already-completed', COMPLETED, 'the migration had completed already; the guest is there'],
    ['already-failed', FAILED, 'failed (connection_refused): Nobody listens; the guest is here'],
  ])('cancels the migration and prints the outcome: %s', async (outcome, end, said) => {
    const { status, said: last, service } = await interrupted(outcome, end);
    expect(status).toBe(130);
    expect(last).toBe(`vmferry: migrating to ${URI}: interrupted: ${said.replace('is there', 'is at the other side')}`);
    expect(service.asked.filter((asked) => asked === 'POST /migrate/cancel')).toHaveLength(1);
  });

  test('by SIGTERM ends with 143', async () => {
    expect((await interrupted('cancelled', migration('cancelled'), 'SIGTERM')).status).toBe(143);
  });
});

describe('a time-out', () => {
  test('ends with 5 and does not cancel the migration', async () => {
    const service = await migrating({ states: [migration('active')] });
    const io = ioOf(service);
    expect(await runVmferry(io, 'migrate', URI, '--wait', '--timeout', '2', '-q')).toBe(5);
    expect(io.stderr).toBe(`vmferry: migrating to ${URI}: not done in time: migration m1 continues (active)\n`);
    expect(service.asked).not.toContain('POST /migrate/cancel');
  });

  test('cancels the migration with --cancel-on-timeout', async () => {
    const states: object[] = [migration('active')];
    const cancel = (): Answer => {
      states.splice(0, 1, migration('cancelled', { guest: 'here' }));
      return ok({ outcome: 'cancelled' });
    };
    const io = ioOf(await migrating({ states, cancel }));
    const words = ['--wait', '--timeout', '2', '--cancel-on-timeout', '-q'];
    expect(await runVmferry(io, 'migrate', URI, ...words)).toBe(5);
    expect(io.stderr).toBe(`vmferry: migrating to ${URI}: not done in time: cancelled; the guest is here\n`);
  });
});

describe('cancel', () => {
  test.each([
    ['cancelled', 0, 'cancelled\n', ''],
    ['already-completed', 1, '', 'vmferry: cancel: too late: the migration had completed\n'],
    ['already-failed', 1, '', 'vmferry: cancel: too late: the migration had failed\n'],
    ['not-cancellable', 1, '', 'vmferry: cancel: too late: the guest has been handed over to the target\n'],
    ['nothing-to-cancel', 1, '', 'vmferry: cancel: there is no migration to cancel\n'],
  ])('prints the outcome: %s ends with %i', async (outcome, status, stdout, stderr) => {
    const service = await migrating({ states: [], cancel: () => ok({ outcome }) });
    const io = ioOf(service);
    expect(await runVmferry(io, 'cancel')).toBe(status);
    expect([io.stdout, io.stderr]).toEqual([stdout, stderr]);
    const json = ioOf(service);
    expect([await runVmferry(json, 'cancel', '--json'), json.lines, json.stderr]).toEqual([status, [{ outcome }], '']);
  });
});
