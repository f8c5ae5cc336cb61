import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/client-program.ts';
import { EXIT_STATUSES, GENERAL_EXIT_STATUSES } from '../../src/cli/grammar/common-options.ts';
import { generatedTag } from '../../src/cli/grammar/snapshot.ts';
import { readInvocation } from '../../src/config.ts';
import { FakeIo, ioOf, run, runVmferry } from './fake-io.ts';
import { fakeService } from './fake-service.ts';

const VERBS = ['save', 'load', 'delete', 'list', 'verify', 'compact'];

describe('an invalid command line', () => {
  test.each([
    [['fly'], "unknown command 'fly'"],
    [['lost'], "unknown command 'lost' (Did you mean list?)"],
    [['load'], "missing required argument 'TAG'"],
    [['load', ''], 'must not be empty'],
    [['load', 'a', 'b'], 'too many arguments'],
    [['save', '--tiemout', '1'], "unknown option '--tiemout' (Did you mean --timeout?)"],
    [['save', '--timeout'], "option '--timeout <SECONDS>' argument missing"],
    [['save', '--timeout', '-1'], 'number of seconds'],
    [['save', '--timeout', '1e3'], 'number of seconds'],
    [['save', '--timeout', '1000001'], 'number of seconds'],
    [['save', '--reconnect', 'soon'], 'number of seconds'],
    [['save', '--idempotency-key', 'ä'], 'printable ASCII'],
    [['save', '--idempotency-key', ' a'], 'printable ASCII'],
    [['save', '--device', ''], 'must not be empty'],
    [['save', '--cancel-on-timeout'], '--cancel-on-timeout needs --timeout'],
    [['save', '--no-wait', '--timeout', '1'], '--no-wait and --timeout exclude each other'],
    [['compact', 'warm'], 'too many arguments'],
    [['verify', 'a', '--device', 'disk0'], "unknown option '--device'"],
    [
      ['list', '--url', 'localhost:8080'],
      '--url must be an address such as http://127.0.0.1:8080, not "localhost:8080"',
    ],
    [['list', '--url', 'http://u:p@h'], '--url must be an address'],
    [['list', '--url', 'http://h/?a=b'], '--url must be an address'],
  ])('%j ends with 2, one line, and no request', async (words, said) => {
    const service = await fakeService();
    const io = ioOf(service);
    expect(await run(io, ...words)).toBe(2);
    expect(io.stderr).toContain(said);
    expect(io.stderr).toMatch(/^vmferry: [^\n]+\n$/);
    expect([io.stdout, service.requests]).toEqual(['', []]);
  });

  test('ends with 2 and lists the verbs if the verb is missing', async () => {
    const io = new FakeIo(undefined);
    expect(await run(io)).toBe(2);
    for (const verb of VERBS) expect(io.stderr).toContain(`  ${verb} `);
  });

  test.each([
    ['VMFERRY_URL', { url: 'ftp://x', token: undefined, terminal: undefined }],
    ['VMFERRY_TOKEN', { url: undefined, token: 'secret\nthing', terminal: undefined }],
  ])('ends with an error for an invalid %s, and a secret value is not printed', async (name, environment) => {
    const io = new FakeIo(undefined);
    io.environment = environment;
    expect(await run(io, 'list')).toBe(2);
    expect(io.stderr).toContain(`vmferry: ${name} must be`);
    expect(io.stderr).not.toContain('secret');
  });
});

describe('--help', () => {
  test('of the command names every verb, the variables and every exit status', async () => {
    const io = new FakeIo(undefined);
    expect(await run(io, '--help')).toBe(0);
    for (const verb of VERBS) expect(io.stdout).toContain(`\n  ${verb} `);
    expect(io.stdout).toContain('VMFERRY_URL');
    for (const [status, meaning] of EXIT_STATUSES) expect(io.stdout).toContain(`${status}`.padEnd(5) + meaning);
    expect(io.stderr).toBe('');
  });

  test.each(VERBS)('of %s has all sections', async (verb) => {
    const io = new FakeIo(undefined);
    expect(await run(io, verb, '--help')).toBe(0);
    const sections = ['Usage: vmferry snapshot', '--url <URL>', 'Exit status:', 'Environment:', 'Examples:'];
    for (const section of sections) expect(io.stdout).toContain(section);
    expect(Math.max(...io.stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(110);
  });
});

/** Every command that can be typed: `['jobs', 'cancel']`. */
function pathsOf(command: Command, above: readonly string[] = []): string[][] {
  return command.commands
    .filter((entry) => !entry.name().startsWith('_'))
    .flatMap((entry) => [[...above, entry.name()], ...pathsOf(entry, [...above, entry.name()])]);
}

const PATHS = pathsOf(createProgram(new FakeIo(undefined), () => {}));

function document(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

describe('every command of the client', () => {
  test.each(PATHS.map((path) => [path.join(' '), path] as const))(
    'has help with all sections: %s',
    async (name, path) => {
      const io = new FakeIo(undefined);
      expect(await runVmferry(io, ...path, '--help')).toBe(0);
      for (const section of [`Usage: vmferry ${name}`, 'Exit status:', 'Environment:', 'Examples:']) {
        expect(io.stdout).toContain(section);
      }
      const options = name === 'completion' ? [] : ['--url <URL>', '--token-file <FILE>', '--json'];
      for (const option of options) expect(io.stdout).toContain(option);
      expect(Math.max(...io.stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(110);
      expect(io.stderr).toBe('');
    },
  );

  test('is in the overview and in docs/cli.md', () => {
    const { text } = readInvocation(['--help'], '1.2.3', {}) as { text: string };
    const page = document('cli.md');
    for (const [first] of PATHS) {
      expect(text).toContain(`\n  ${first} `);
      expect(page).toContain(`\`${first}`);
    }
  });

  test('has its exit statuses in docs/cli.md with the same meanings', () => {
    for (const [status, meaning] of GENERAL_EXIT_STATUSES) {
      expect(document('cli.md')).toContain(`\n| ${status} | ${meaning} |`);
    }
  });

  test.each([
    [['fly'], "unknown command 'fly'"],
    [['statsu'], 'Did you mean status?'],
    [['migrate'], "missing required argument 'URI'"],
    [['migrate', 'tcp:x', '--wiat'], 'Did you mean --wait?'],
    [['cancel', 'm1'], 'too many arguments'],
    [['jobs', 'cancel'], "missing required argument 'ID'"],
    [['qmp'], "missing required argument 'JSON'"],
    [['status', '--url', 'ftp://x'], '--url must be an address'],
    [['events', '--token', 'x'], "unknown option '--token'"],
  ])('refuses an invalid line with 2 and no request: %j', async (words, said) => {
    const service = await fakeService();
    const io = ioOf(service);
    expect(await runVmferry(io, ...words)).toBe(2);
    expect(io.stderr).toContain(said);
    expect(io.stderr).toMatch(/^vmferry: [^\n]+\n$/);
    expect([io.stdout, service.asked]).toEqual(['', []]);
  });
});

describe('a generated tag', () => {
  test('has the local time, as QEMU names a snapshot without a name', () => {
    expect(generatedTag(new Date(2026, 0, 2, 3, 4, 5))).toBe('vm-20260102030405');
  });
});
