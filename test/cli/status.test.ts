import { describe, expect, test } from 'vitest';
import { ioOf, runVmferry } from './fake-io.ts';
import { answers, type FakeService, fakeService, ok, problem } from './fake-service.ts';

const MACHINE = {
  kind: 'synthetic',
  name: 'vm0',
  uuid: 'u',
  'ram-blocks': [{ name: 'ram', size: 2 ** 28 }],
  vcpus: 2,
  ticks: 7,
  panic: null,
  workload: { rate: 20 * 2 ** 20 },
};
const ACTIVE = {
  status: 'active',
  pass: 2,
  'first-pass-percent': 100,
  verdict: { verdict: 'stalled', reason: 'It stands still.' },
  rate: 2 ** 20,
  remaining: 2 ** 22,
  'expected-downtime': 400,
  'downtime-limit': 300,
  'time-to-go': { min: 4000, max: 65000 },
};
const IDLE = { status: 'none', pass: 0, verdict: null };

/** A service with a migration that ends after `looks` requests, and constant progress after that. */
async function watched(looks: number): Promise<FakeService> {
  const service = await fakeService();
  let seen = 0;
  const progress = () => {
    seen = Math.min(seen + 1, looks);
    return ok({ ...ACTIVE, rate: 2 ** 20 * seen });
  };
  service.handler = answers({
    'GET /status': ok({ running: true, status: 'running' }),
    'GET /machine': ok(MACHINE),
    'GET /migrate': ok({ status: 'active', 'total-time': 9000 }),
    'GET /migrate/progress': progress,
  });
  return service;
}

/** The cursor movement to the first written line, and the deletion of the following text. */
const BACK = /\u001b\[\d+A\r\u001b\[J/;
/** The answers of a service without problems. */
const WELL = {
  'GET /status': ok({ running: true, status: 'running' }),
  'GET /machine': ok(MACHINE),
  'GET /migrate': ok({}),
  'GET /migrate/progress': ok(IDLE),
  'GET /readyz': ok({ ready: true, checks: { data: 'ok', service: 'ok', guest: 'ok' } }),
  'GET /migrations?limit=1': ok({ migrations: [], next: null }),
} as const;

const UNKNOWN = { migrations: [{ id: 'm1', status: 'failed', guest: 'unknown' }], next: null };
const PAUSED = ok({ running: false, status: 'paused' });
const FULL = { status: 503, body: { ready: false, checks: { data: 'No space is left.', guest: 'ok' } } };

describe('status --check', () => {
  test.each([
    ['a service without problems', {}, 0, ''],
    ['a guest that an operator stopped', { 'GET /status': PAUSED }, 0, ''],
    ['a panic', { 'GET /machine': ok({ panic: { kind: 'lost', detail: 'x' } }) }, 1, 'the guest panicked (lost): x'],
    ['a final error state', { 'GET /status': ok({ status: 'internal-error' }) }, 1, 'run state is internal-error'],
    [
      'a guest that may be elsewhere',
      { 'GET /status': PAUSED, 'GET /migrations?limit=1': ok(UNKNOWN) },
      1,
      'after migration m1',
    ],
    ['a guest that was resumed after that', { 'GET /migrations?limit=1': ok(UNKNOWN) }, 0, ''],
    ['a data directory that is full', { 'GET /readyz': FULL }, 1, 'not ready: data: No space is left.'],
    [
      'a service that is not ready without a reason',
      { 'GET /readyz': { status: 503, body: { ready: false } } },
      1,
      'is not ready',
    ],
  ])('of %s ends with the expected status', async (_, change, status, said) => {
    const service = await fakeService();
    service.handler = answers({ ...WELL, ...change });
    const io = ioOf(service);
    expect(await runVmferry(io, 'status', '--check')).toBe(status);
    expect(io.stderr).toMatch(
      said === '' ? /^$/ : new RegExp(`^vmferry: status: .*${said.replace(/[()]/g, '.')}.*\n$`),
    );
    expect(io.stdout).toContain('machine');
  });

  test('lists the problems in its JSON document', async () => {
    const service = await fakeService();
    service.handler = answers({ ...WELL, 'GET /readyz': FULL });
    const io = ioOf(service);
    expect(await runVmferry(io, 'status', '--check', '--json')).toBe(1);
    expect(io.lines.at(-1)).toMatchObject({ problems: ['the service is not ready: data: No space is left.'] });
  });
});

describe('status', () => {
  test('prints the state of the machine and of its migration', async () => {
    const io = ioOf(await watched(1));
    expect(await runVmferry(io, 'status')).toBe(0);
    expect(io.stdout.split('\n')).toEqual([
      'machine    vm0: synthetic, 256.0 MiB RAM, 2 vCPUs, uuid u',
      'state      running (running)',
      'guest      7 ticks, dirties 20.0 MiB/s',
      'migration  active, pass 2, 100 % of the first pass, 1.0 MiB/s, 4.0 MiB left, downtime 400 ms expected, ' +
        '300 ms allowed, since 0:09, 0:04 to 1:05 to go',
      'verdict    stalled: It stands still.',
      '',
    ]);
  });

  test.each([
    [{}, 'none'],
    [{ status: 'completed', 'total-time': 2040, downtime: 16 }, 'completed, in 2.0 s, downtime 16 ms'],
    [{ status: 'failed', 'error-desc': 'Broken.' }, 'failed, Broken.'],
    [{ status: 'setup' }, 'setup'],
  ])('prints the last state of a migration that is not running: %j', async (migrate, said) => {
    const service = await fakeService();
    service.handler = answers({
      'GET /status': ok({ running: false, status: 'paused' }),
      'GET /machine': ok({ kind: 'image', name: 'i', uuid: 'u' }),
      'GET /migrate': ok(migrate),
      'GET /migrate/progress': ok(IDLE),
    });
    const io = ioOf(service);
    expect(await runVmferry(io, 'status')).toBe(0);
    expect(io.stdout).toBe(`machine    i: image, uuid u\nstate      stopped (paused)\nmigration  ${said}\n`);
  });

  test('prints the four answers as one JSON document with exact integers', async () => {
    const service = await watched(1);
    const handler = service.handler;
    service.handler = (seen) => (seen.path === '/status' ? ok('{"n":18446744073709551615}') : handler(seen));
    const io = ioOf(service);
    expect(await runVmferry(io, 'status', '--json')).toBe(0);
    const rest = `"machine":${JSON.stringify(MACHINE)},"migrate":{"status":"active","total-time":9000}`;
    const progress = JSON.stringify(ACTIVE);
    expect(io.stdout).toBe(`{"status":{"n":18446744073709551615},${rest},"progress":${progress}}\n`);
  });

  test('ends with 4 after a refusal, and with 3 without a service', async () => {
    const service = await fakeService();
    service.handler = () => problem(401, 'token_missing', 'Who?');
    const io = ioOf(service);
    expect(await runVmferry(io, 'status')).toBe(4);
    expect(io.stderr).toBe('vmferry: status: refused (401 token_missing): Who?\n');
    await service.stop();
    expect(await runVmferry(ioOf(service), 'status')).toBe(3);
  });
});

describe('status --watch', () => {
  test('prints a line after each change, until Ctrl-C', async () => {
    const io = ioOf(await watched(3));
    io.onWait = (nowMs) => {
      if (nowMs >= 5000) io.signal('SIGINT');
    };
    expect(await runVmferry(io, 'status', '--watch')).toBe(130);
    const rates = io.stdout
      .trimEnd()
      .split('\n')
      .map((line) => /[\d.]+ MiB\/s/.exec(line)?.[0]);
    expect(rates).toEqual(['1.0 MiB/s', '2.0 MiB/s', '3.0 MiB/s']);
    expect(io.stderr).toBe('');
  });

  test('overwrites the status on a terminal, in lines that do not wrap', async () => {
    const io = ioOf(await watched(2));
    io.outWidth = 60;
    io.onWait = (nowMs) => {
      if (nowMs >= 2000) io.signal('SIGTERM');
    };
    expect(await runVmferry(io, 'status', '--watch')).toBe(143);
    const [first = '', second = '', ...more] = io.stdout.split(BACK);
    expect(more).toEqual([]);
    expect(io.stdout).toContain(`\u001b[${first.split('\n').length - 1}A`);
    for (const text of [first, second]) {
      expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(59);
      expect(text).toMatch(/ % of the first pass.*to go/s);
    }
  });

  test('polls at the interval of --interval', async () => {
    const service = await watched(1000);
    const io = ioOf(service);
    io.onWait = (nowMs) => {
      if (nowMs >= 900) io.signal('SIGINT');
    };
    await runVmferry(io, 'status', '--watch', '--interval', '0.1');
    expect(service.asked.filter((asked) => asked === 'GET /status')).toHaveLength(10);
  });

  test('waits for an unreachable service for the time of --reconnect', async () => {
    const service = await watched(1);
    const io = ioOf(service);
    io.onWait = async (nowMs) => {
      if (nowMs === 1000) await service.stop();
    };
    expect(await runVmferry(io, 'status', '--watch', '--reconnect', '7')).toBe(3);
    expect(io.stderr.match(/trying again/g)).toHaveLength(1);
    expect(io.nowMs).toBe(9000);
  });

  test('ends when the reader closes standard output', async () => {
    const io = ioOf(await watched(1));
    io.onWait = () => io.closeOutput();
    expect(await runVmferry(io, 'status', '--watch')).toBe(0);
  });

  test.each(['0', 'often', '0.01'])('refuses an interval of %s', async (seconds) => {
    const service = await watched(1);
    const io = ioOf(service);
    expect(await runVmferry(io, 'status', '--watch', '--interval', seconds)).toBe(2);
    expect(service.asked).toEqual([]);
  });
});
