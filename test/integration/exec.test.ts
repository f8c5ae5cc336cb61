// Migrations through commands.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { localService } from '../helpers/guest-service.ts';
import { shared } from '../helpers/shared.ts';

const ALLOWED = ['--allow-exec'] as const;
const DEADLINES = { connectMs: 1000, stallMs: 1000, handoverMs: 1000 };

/** Its guest is larger than the buffer of a pipe. It is resumed after every test. */
const source = shared(() =>
  localService([...ALLOWED, '--workload', 'rate=4M,span=2M,pattern=hot,fill=random'], { deadlines: DEADLINES }),
);

test('no command is executed without --allow-exec', async () => {
  const trap = join(temporaryDirectory(), 'trap');
  const source = await localService();
  const target = await localService(['--incoming', 'defer']);
  for (const [service, path] of [
    [source, '/migrate'],
    [target, '/migrate/incoming'],
  ] as const) {
    const reply = await service.call(path, { body: { uri: `exec:touch ${trap}` } });
    expect([reply.status, reply.json.code]).toEqual([403, 'exec_not_allowed']);
  }
  expect(existsSync(trap)).toBe(false);
  await source.expectRunning();
});

const FAILING = [
  ['false', 'with status 1'],
  ['exit 3', 'with status 3'],
  ['echo the tape is gone >&2; exit 4', 'the tape is gone'],
  ['no-such-command-here', 'not found'],
  ['head -c 100000 > /dev/null; kill -TERM $$', 'by signal SIGTERM'],
  ['head -c 100000 > /dev/null', 'before it had the whole stream'],
] as const;

test('a command that fails in any way fails the migration and leaves the guest running', async () => {
  for (const [command, word] of combinations(
    FAILING,
    FAILING.slice(-4).filter(([, word]) => word !== 'not found'),
  )) {
    const row = await source().migrate(`exec:${command}`);
    expect(row, command).toMatchObject({ status: 'failed', guest: 'here' });
    expect(row.error?.desc, command).toContain(word);
    await source().expectRunning();
  }
});

test('a command that reads nothing is killed at the deadline, with its child processes', async () => {
  const pidFile = join(temporaryDirectory(), 'pid');
  const row = await source().migrate(`exec:sleep 1000 & echo $! > ${pidFile}; wait`);
  expect(row).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'deadline_exceeded' } });
  const pid = Number(readFileSync(pidFile, 'utf8'));
  await expect.poll(() => isAlive(pid)).toBe(false);
  await source().expectRunning();
});

test('a command that reads everything and does not exit leaves the outcome unknown', async () => {
  const file = join(temporaryDirectory(), 'guest');
  const row = await source().migrate(`exec:cat > ${file}; sleep 1000`);
  expect(row).toMatchObject({ status: 'failed', guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
  expect(statSync(file).size).toBeGreaterThan(1000);
  expect(await source().runState()).toBe('paused');
  await source().post('/cont');
  await source().expectRunning();
});

test('a command gets no environment variables of the service', async () => {
  const file = join(temporaryDirectory(), 'environment');
  expect(await source().migrate(`exec:env > ${file}; cat > /dev/null`)).toMatchObject({ status: 'completed' });
  const names = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split('=')[0]);
  expect(names).not.toContain('HOME');
  expect(names).not.toContain('VITEST');
  expect(names).toContain('PATH');
  await source().post('/cont');
});

test('an argument list is executed without a shell', async () => {
  const directory = temporaryDirectory();
  const [file, trap] = [join(directory, 'guest; touch trap'), join(directory, 'trap')];
  const addr = { transport: 'exec', args: ['/usr/bin/tee', file] };
  const reply = await source().call('/migrate', {
    body: { channels: [{ 'channel-type': 'main', addr }] },
    headers: { prefer: 'wait=20' },
  });
  expect(reply.json).toMatchObject({ status: 'completed' });
  expect(readFileSync(file).subarray(0, 4).toString()).toBe('QEVM');
  expect(existsSync(trap)).toBe(false);
  await source().post('/cont');
});

test('a guest leaves through a command and returns through another, even after a command that failed', async () => {
  const file = join(temporaryDirectory(), 'guest.gz');
  await expect.poll(async () => (await source().guest()).ticks).toBeGreaterThan(1);
  const left = await source().migrate(`exec:gzip -1 > ${file}`);
  expect(left).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
  const ticks = await source().consoleTicks();

  const target = await localService([...ALLOWED, '--incoming', 'defer']);
  await target.post('/migrate/incoming', { uri: 'exec:echo broken pipe organ >&2; exit 5' });
  const row = await target.ended();
  expect(row).toMatchObject({ status: 'failed', error: { code: 'command_failed' } });
  expect(row.error?.desc).toMatch(/status 5.*broken pipe organ/s);
  await target.post('/migrate/incoming', { uri: `exec:gunzip < ${file}` });
  await target.untilStatus('completed');
  await target.expectRunning();
  const now = await target.consoleTicks();
  expect(now.slice(0, ticks.length)).toEqual(ticks);
  expect(now).toEqual(now.map((_, index) => index + 1));
});

function isAlive(pid: number): boolean {
  try {
    // A zombie process counts as ended.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
