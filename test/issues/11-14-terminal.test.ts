// On a terminal of 80 columns the progress line of a migration was cut at its end, which is the remaining time. A
// long line had no bar either. `status --watch` cut its lines in the same way. Every --help listed all exit statuses,
// most of which its command never returns. Completion did not know the flags of the service.

import { describe, expect, test } from 'vitest';
import { decodeMigration, shownMigration } from '../../src/cli/client-work.ts';
import { overviewText, wrapped } from '../../src/cli/output/observe-text.ts';
import { createProgress, type Shown } from '../../src/cli/output/progress-display.ts';
import { FakeIo, runVmferry } from '../cli/fake-io.ts';
import { ask, startApp, testConfig } from '../helpers/app.ts';

const PROGRESS = {
  'first-pass-percent': 64.2,
  pass: 12,
  rate: 59.4 * 2 ** 20,
  remaining: 992.1 * 2 ** 20,
  'expected-downtime': 30_000,
  'downtime-limit': 300,
  'time-to-go': { min: 125_000, max: 3_800_000 },
};
const ACTIVE = decodeMigration({ id: '1', uri: 'tcp:x', status: 'pre-switchover' }, PROGRESS);

/** The line of a bar in a terminal of so many columns. */
function lineOf(label: string, shown: Shown, columns: number): string {
  const io = new FakeIo(undefined);
  io.width = columns;
  createProgress({ style: 'bar', label, io }).show(shown);
  return io.stderr.replace('\r\u001b[K', '');
}

describe('the progress line of a migration', () => {
  test.each([
    ['migrating to tcp:10.0.0.7:4444', 80],
    [`migrating to unix:/run/user/1000/${'directory/'.repeat(8)}socket`, 80],
    ['migrating to tcp:[2001:db8:85a3::8a2e:370:7334]:49152', 80],
    [`migrating to exec:${'x'.repeat(1000)}`, 100],
    ['migrating to fd:m', 64],
  ])('has percent, bar and remaining time: %s in %i columns', (label, columns) => {
    const line = lineOf(label, shownMigration(ACTIVE), columns);
    expect(line.length).toBeLessThan(columns);
    expect(line).toMatch(/^migratin.* {2}pre-switchover {2}\[#{3,}\.+\] {2}64 % {2}.*2:05 to 1:03:20 to go$/);
  });

  test('has all figures if they fit, and omits the least important ones first', () => {
    const shown = shownMigration(ACTIVE);
    const rest = '59.4 MiB/s  992.1 MiB left  downtime 30000 ms  2:05 to 1:03:20 to go';
    expect(lineOf('migrating to tcp:x', shown, 150)).toContain(`64 %  pass 12  ${rest}`);
    expect(lineOf('migrating to tcp:x', shown, 100)).toContain('64 %  59.4 MiB/s  2:05 to 1:03:20 to go');
  });

  test.each([1, 8, 20, 40])('is never longer than %i columns allow', (columns) => {
    expect(lineOf('migrating to tcp:10.0.0.7:4444', shownMigration(ACTIVE), columns).length).toBeLessThan(columns);
  });
});

test('status on a terminal breaks its lines between figures and keeps all figures', () => {
  const overview = {
    status: { running: true, status: 'running' },
    machine: { name: 'vm0', kind: 'synthetic', uuid: '8c6b7a5e-3f0d-4f35-9d3c-0d5f7f0a1b2c', vcpus: 2 },
    migrate: { status: 'active', 'total-time': 61_000 },
    progress: PROGRESS,
  };
  const text = overviewText(overview);
  for (const columns of [79, 40, 20]) {
    const lines = text.split('\n').flatMap((line) => wrapped(line, columns));
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(columns);
    const joined = lines.join(' ').replaceAll(/\s+/g, ' ');
    expect(joined).toContain('64 % of the first pass, 59.4 MiB/s, 992.1 MiB left');
    expect(joined).toContain('2:05 to 1:03:20 to go');
  }
});

describe('the exit statuses in --help', () => {
  const GENERAL = ['0', '2', '3', '4', '130', '143'];

  test.each([
    ['status', GENERAL],
    ['stop', GENERAL],
    ['snapshot list', GENERAL],
    ['set', GENERAL],
    ['history', GENERAL],
    ['cancel', ['0', '1', '2', '3', '4', '130', '143']],
    ['migrate', ['0', '1', '2', '3', '4', '5', '130', '143']],
    ['wait', ['0', '1', '2', '3', '4', '5', '130', '143']],
    ['snapshot save', ['0', '1', '2', '3', '4', '5', '130', '143']],
    ['version', ['0', '2', '3', '130', '143']],
  ])('are the possible exit statuses of %s', async (command, expected) => {
    const io = new FakeIo(undefined);
    expect(await runVmferry(io, ...command.split(' '), '--help')).toBe(0);
    const section = io.stdout.split('\nExit status:\n')[1]?.split('\n\n')[0] ?? '';
    expect([...section.matchAll(/^ {2}(\d+) /gm)].map(([, status]) => status)).toEqual(expected);
    const others = ['migration', 'job'].filter(
      (word) => !/migrate|cancel|snapshot (?!list)/.test(command) && section.includes(word),
    );
    expect(others).toEqual([]);
  });
});

describe('completion', () => {
  test.each([
    ['serve --qm', ['--qmp']],
    ['serve --data /d --in', ['--incoming']],
    ['serve --machine ', ['synthetic', 'image']],
    ['serve --log-level w', ['warn']],
    ['serve --incoming d', ['defer']],
    ['serve --qmp u', ['unix:']],
    ['serve --data ', []],
    ['serve --paused ', []],
    ['serve ', []],
    ['sto', ['stop']],
    ['workload ra', ['rate=']],
    ['incoming un', ['unix:']],
    ['blockers ', ['list', 'add', 'remove']],
    ['--url http://127.0.0.1:1 hist', ['history']],
    ['--url http://127.0.0.1:1 --json snapshot sa', ['save']],
    ['wait --p', ['--pid']],
  ])('of "%s" offers the possible words', async (line, expected) => {
    const io = new FakeIo('http://127.0.0.1:1');
    expect(await runVmferry(io, '__complete', '--', ...line.split(' '))).toBe(0);
    expect(io.stdout.split('\n').filter((word) => word !== '')).toEqual(expected);
  });

  test('of "serve --" offers every flag', async () => {
    const io = new FakeIo(undefined);
    await runVmferry(io, '__complete', '--', 'serve', '--');
    expect(io.stdout.split('\n')).toEqual(expect.arrayContaining(['--http', '--url-file', '--drain-timeout']));
  });
});

test('a problem document ends with a line feed, so that the next shell prompt is on its own line', async () => {
  const { server } = await startApp(testConfig(['--ram', '1M', '--paused']));
  for (const [url, body] of [
    ['/nope', undefined],
    ['/migrate', { uri: 7 }],
    ['/migrate', '{'],
  ] as const) {
    const reply = await ask(server, url, body === undefined ? {} : { body });
    expect(reply.headers['content-type']).toContain('application/problem+json');
    expect(reply.text).toMatch(/\}\n$/);
    expect(Number(reply.headers['content-length'])).toBe(Buffer.byteLength(reply.text));
  }
});
