// A pipeline started its service on a fixed port and polled that port until something answered. If two pipelines ran
// on one machine, the second service could not start, the first service answered, and the second `snapshot load`
// reset the machine of the first pipeline. Now the service takes a free port and writes its address to a file.
// `vmferry wait` ends as soon as the given process has ended.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ProcessWatch } from '../../src/cli/commands/service.ts';
import { UrlFile } from '../../src/start/url-file.ts';
import { FakeIo, runVmferry } from '../cli/fake-io.ts';
import { fakeService, ok } from '../cli/fake-service.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { BIN } from '../helpers/client-process.ts';

const NOWHERE = 'http://127.0.0.1:1';
const NOT_READY = { status: 503, body: { ready: false, checks: { data: '/d cannot be used: EROFS', service: 'ok' } } };

/** An ended process without a wait of its parent, as below a shell that continues. */
async function unreaped(): Promise<number> {
  const shell = spawn('sh', ['-c', 'true & echo $!; exec sleep 100'], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void shell.kill('SIGKILL'));
  const [text] = (await once(shell.stdout, 'data')) as [Buffer];
  return Number(String(text));
}

describe('vmferry wait', () => {
  test('polls until the service is ready, and prints its address', async () => {
    const service = await fakeService();
    const io = new FakeIo(service.url);
    await service.stop();
    let looks = 0;
    service.handler = () => {
      looks += 1;
      return looks < 3 ? NOT_READY : ok({ ready: true });
    };
    io.onWait = async (nowMs) => {
      if (nowMs === 500) await service.start();
    };
    expect(await runVmferry(io, 'wait', '--timeout', '60')).toBe(0);
    expect([io.stdout, io.stderr]).toEqual([`${service.url}\n`, '']);
    expect(service.asked).toEqual(Array(3).fill('GET /readyz'));
  });

  test.each([
    ['nothing listens there', NOWHERE, 'nothing listens there'],
    ['the file with the address does not exist', null, 'does not exist'],
  ])('ends with 5 after --timeout when %s', async (_, url, said) => {
    const io = new FakeIo(url ?? undefined);
    const address = url === null ? ['--url-file', join(temporaryDirectory(), 'url')] : [];
    expect(await runVmferry(io, 'wait', '--timeout', '2', ...address)).toBe(5);
    expect(io.nowMs).toBe(2000);
    expect(io.stderr).toMatch(/^vmferry: wait: not ready in time: [^\n]+\n$/);
    expect(io.stderr).toContain(said);
  });

  test('ends with 5 and the reason when the service is never ready', async () => {
    const service = await fakeService();
    service.handler = () => NOT_READY;
    const io = new FakeIo(service.url);
    expect(await runVmferry(io, 'wait', '--timeout', '1', '--json')).toBe(5);
    expect(io.lines).toEqual([
      expect.objectContaining({ 'exit-status': 5, detail: expect.stringContaining('data: /d cannot be used: EROFS') }),
    ]);
  });

  test('ends with 1 when the process has ended, even if another service answers at the address', async () => {
    const service = await fakeService();
    service.handler = () => ok({ ready: true });
    for (const url of [service.url, NOWHERE]) {
      const io = new FakeIo(url);
      expect(await runVmferry(io, 'wait', '--pid', String(await unreaped()))).toBe(1);
      expect(io.stderr).toMatch(/^vmferry: wait: process \d+ has ended, and with it the service\n$/);
      expect(io.stdout).toBe('');
    }
  });

  test('ends with 3 if another program answers, and with 130 at Ctrl-C', async () => {
    const service = await fakeService();
    service.handler = () => ({ status: 404, body: '<html>', headers: { 'content-type': 'text/html' } });
    expect(await runVmferry(new FakeIo(service.url), 'wait')).toBe(3);
    const io = new FakeIo(NOWHERE);
    io.onWait = () => io.signal('SIGINT');
    expect(await runVmferry(io, 'wait')).toBe(130);
  });

  test.each([
    [['--pid', '0'], 'number of a process'],
    [['--pid', 'x'], 'number of a process'],
    [['--timeout', '1s'], 'number of seconds from 0 to 1000000 without a unit'],
    [['--url', NOWHERE, '--url-file', '/x'], '--url and --url-file exclude each other'],
  ])('refuses %j with 2', async (words, said) => {
    const io = new FakeIo(undefined);
    expect(await runVmferry(io, 'wait', ...words)).toBe(2);
    expect(io.stderr).toContain(said);
  });

  test('tells a process from an earlier process with the same pid', () => {
    expect(new ProcessWatch(process.pid).hasEnded()).toBe(false);
    expect(new ProcessWatch(2 ** 31 - 1).hasEnded()).toBe(true);
  });
});

describe('the file of --url-file', () => {
  test('contains the address, replaces the file of a killed service, and is removed at the end', () => {
    const path = join(temporaryDirectory(), 'url');
    writeFileSync(path, 'http://127.0.0.1:9\n');
    const file = new UrlFile(path);
    expect(readFileSync(path, 'utf8')).toBe('http://127.0.0.1:9\n');
    file.write('http://127.0.0.1:10');
    expect(readFileSync(path, 'utf8')).toBe('http://127.0.0.1:10\n');
    file.remove();
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  test('is kept at the end if another service has written its address into it', () => {
    const path = join(temporaryDirectory(), 'url');
    const file = new UrlFile(path);
    file.write('http://127.0.0.1:10');
    writeFileSync(path, 'http://127.0.0.1:11\n');
    file.remove();
    expect(readFileSync(path, 'utf8')).toBe('http://127.0.0.1:11\n');
  });

  test('is refused, and not changed, if it is a folder or has other content', () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'precious');
    writeFileSync(path, 'export PATH=/bin\n');
    expect(() => new UrlFile(path)).toThrow('contains something other than an address');
    mkdirSync(join(directory, 'folder'));
    expect(() => new UrlFile(join(directory, 'folder'))).toThrow('cannot be used: EISDIR');
    expect(() => new UrlFile(join(directory, 'none', 'url')).write('http://x')).toThrow('cannot be written: ENOENT');
    expect(readFileSync(path, 'utf8')).toBe('export PATH=/bin\n');
  });

  test.each([
    [['--url-file', 'FILE'], {}],
    [[], { urlFile: 'FILE' }],
  ])('gives every command the address of the service: %j %j', async (words, environment) => {
    const service = await fakeService();
    service.handler = () => ok({ jobs: [] });
    const path = join(temporaryDirectory(), 'url');
    const io = new FakeIo(undefined);
    const named = Object.fromEntries(Object.keys(environment).map((name) => [name, path]));
    io.environment = { ...io.environment, ...named };
    const line = ['jobs', ...words.map((word) => (word === 'FILE' ? path : word))];
    expect(await runVmferry(io, ...line)).toBe(3);
    expect(io.stderr).toContain(`${path} does not exist`);
    writeFileSync(path, `${service.url}\n`);
    expect(await runVmferry(io, ...line)).toBe(0);
    writeFileSync(path, 'ftp://x\n');
    expect(await runVmferry(io, ...line)).toBe(2);
  });
});

test('a service on a free port is found by its URL file, logs at Ctrl-C what it waits for, and removes the file', async () => {
  const directory = temporaryDirectory();
  const file = join(directory, 'url');
  const flags = ['--http', '127.0.0.1:0', '--data', join(directory, 'data'), '--ram', '8M', '--url-file', file];
  const service = startService([...flags, '--set', 'max-bandwidth=64k']);
  const io = new FakeIo(undefined);
  io.clock.wait = (ms) => new Promise((resolve) => void setTimeout(resolve, ms));
  expect(await runVmferry(io, 'wait', '--url-file', file, '--pid', String(service.child.pid))).toBe(0);
  const url = io.stdout.trim();
  expect(service.output()).toBe(`vmferry: ${url}\nvmferry: docs ${url}/docs\n`);
  expect((await fetch(`${url}/docs`)).status).toBe(200);

  const id = await begin(url);
  service.child.kill('SIGINT');
  await expect
    .poll(service.errors)
    .toBe(
      `vmferry: stopping: waiting for migration ${id} to file:slow, for at most 10 s; a second Ctrl-C or SIGTERM ends the service immediately\n`,
    );
  service.child.kill('SIGINT');
  expect(await service.ended).toEqual([null, 'SIGINT']);
  expect(existsSync(file)).toBe(false);
});

function startService(flags: readonly string[]) {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const child = spawn(process.execPath, [BIN, 'serve', ...flags], { env: { PATH, NODE_COMPILE_CACHE } });
  onTestFinished(() => void child.kill('SIGKILL'));
  const said = { output: '', errors: '' };
  child.stdout.on('data', (chunk) => {
    said.output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    said.errors += String(chunk);
  });
  const ended = once(child, 'close');
  return { child, ended, output: () => said.output, errors: () => said.errors };
}

/** Begins a migration that does not end by itself soon. @returns its id. */
async function begin(url: string): Promise<string> {
  const io = new FakeIo(url);
  expect(await runVmferry(io, 'migrate', 'file:slow', '--quiet')).toBe(0);
  return io.stdout.trim();
}
