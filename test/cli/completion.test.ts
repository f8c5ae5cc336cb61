import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FakeIo, ioOf, runVmferry } from './fake-io.ts';
import { answers, type FakeService, fakeService, ok } from './fake-service.ts';

const BIN = fileURLToPath(new URL('../../bin/vmferry.js', import.meta.url));
const run = promisify(execFile);

async function service(): Promise<FakeService> {
  const made = await fakeService();
  made.handler = answers({
    'GET /migrate/parameters': ok({ 'max-bandwidth': 1, 'max-cpu-throttle': 99, 'downtime-limit': 300 }),
    'GET /migrate/capabilities': ok([
      { capability: 'events', state: true },
      { capability: 'return-path', state: false },
    ]),
    'GET /snapshots': ok({ snapshots: [{ tag: 'warm' }, { tag: 'a:b' }, { tag: 'two words' }, { tag: '$(reboot)' }] }),
    'GET /jobs': ok({ jobs: [{ id: 'save-1' }] }),
  });
  return made;
}

/** The completions at the end of `vmferry LINE`. */
async function complete(io: FakeIo, line: string): Promise<string[]> {
  io.stdout = '';
  expect(await runVmferry(io, '__complete', '--', ...line.split(' '))).toBe(0);
  expect(io.stderr).toBe('');
  return io.stdout === '' ? [] : io.stdout.trimEnd().split('\n');
}

describe('completion', () => {
  test.each([
    ['s', ['status', 'stop', 'show', 'set', 'snapshot', 'serve']],
    ['snapshot ', ['save', 'load', 'delete', 'list', 'verify', 'compact']],
    ['snapshot compact ', []],
    ['snapshot sav', ['save']],
    ['snapshot load ', ['warm', 'a:b', '$(reboot)']],
    ['snapshot load w', ['warm']],
    ['snapshot load warm ', []],
    ['snapshot save ', []],
    ['snapshot load --timeout 3 --cancel-on-timeout w', ['warm']],
    ['set max', ['max-bandwidth=', 'max-cpu-throttle=']],
    ['set max-bandwidth=1 down', ['downtime-limit=']],
    ['enable ', ['events', 'return-path']],
    ['disable events ', ['return-path']],
    ['jobs c', ['cancel', 'complete']],
    ['jobs cancel ', ['save-1']],
    ['migrate ', ['tcp:', 'unix:', 'file:', 'exec:', 'fd:']],
    ['migrate tcp:1 --w', ['--wait']],
    ['migrate --timeout ', []],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['snapshot save --d', ['--device', '--disk-only', '--description']],
    ['snapshot save --to', ['--token-file']],
    ['events --s', ['--since']],
    ['status --token-file ', []],
    ['fly ', []],
    ['_', []],
  ])('of "%s" offers the possible words', async (line, expected) => {
    expect(await complete(ioOf(await service()), line)).toEqual(expected);
  });

  test('requests names from the service of --url on the line', async () => {
    const fake = await service();
    const io = new FakeIo('http://127.0.0.1:1');
    expect(await complete(io, `set --url ${fake.url} down`)).toEqual(['downtime-limit=']);
    expect(await complete(io, `set --url=${fake.url} down`)).toEqual(['downtime-limit=']);
  });

  test('offers nothing and prints no error without a service', async () => {
    expect(await complete(new FakeIo('http://127.0.0.1:1'), 'set max')).toEqual([]);
  });

  test('has a script for each known shell, and for no other', async () => {
    const io = new FakeIo(undefined);
    expect(await runVmferry(io, 'completion', 'tcsh')).toBe(2);
    expect(io.stderr).toContain('Allowed choices are bash, zsh, fish');
  });
});

const there = async (shell: string): Promise<boolean> =>
  await run(shell, ['-c', 'exit 0']).then(
    () => true,
    () => false,
  );

/** Runs a script in a shell with the client as `vmferry`. @returns its output lines. */
async function inShell(shell: string, script: string): Promise<string[]> {
  const fake = await service();
  const environment = { PATH: process.env.PATH, HOME: '/nowhere', TERM: 'dumb', VMFERRY_URL: fake.url };
  const { stdout } = await run(shell, [...(shell === 'bash' ? ['--norc'] : []), '-c', script], { env: environment });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('a shell', () => {
  test.each([
    ['vmferry snapshot load w', ['warm']],
    ['vmferry snapshot load a:', ['b']],
    ['vmferry set max-b', ['max-bandwidth=']],
    ['vmferry snapshot load $', ['$(reboot)']],
  ])('bash completes %s', async (line, expected) => {
    const script = `
      vmferry() { '${process.execPath}' '${BIN}' "$@"; }
      source <(vmferry completion bash)
      COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}
      _vmferry 2>/dev/null
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(await inShell('bash', script)).toEqual(expected);
  });

  test('fish completes a tag', async (context) => {
    if (!(await there('fish'))) context.skip('fish is not here');
    const script = `
      function vmferry; '${process.execPath}' '${BIN}' $argv; end
      vmferry completion fish | source
      complete -C 'vmferry snapshot load w'`;
    expect(await inShell('fish', script)).toEqual(['warm']);
  });

  test('zsh completes a parameter', async (context) => {
    if (!(await there('zsh'))) context.skip('zsh is not here');
    // compadd works in the line editor only, so the test checks its arguments.
    const script = `
      vmferry() { '${process.execPath}' '${BIN}' "$@"; }
      compdef() { : }
      compadd() { print -r -- "$@"; }
      source <(vmferry completion zsh)
      words=(vmferry set max); CURRENT=3
      _vmferry`;
    expect(await inShell('zsh', script)).toEqual(['-S  -- max-bandwidth= max-cpu-throttle=']);
  });
});
