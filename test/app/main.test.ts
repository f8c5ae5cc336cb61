import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory, tokenFile } from '../helpers/app.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = join(ROOT, 'bin/vmferry.js');

/** Says at the end which modules of Node and of packages the main thread has loaded. */
const TELL_MODULES = `data:text/javascript,${encodeURIComponent(`
  import { createRequire } from 'node:module';
  import { isMainThread } from 'node:worker_threads';
  const { cache } = createRequire(${JSON.stringify(import.meta.url)});
  if (isMainThread) process.on('exit', () => console.error([...process.moduleLoadList, ...Object.keys(cache)].join('\\n')));
`)}`;

function start(...flags: string[]) {
  return startNode([MAIN, 'serve', ...flags]);
}

/** What `npm start` runs, without npm. */
function startAsNpm(nodeFlags: readonly string[], ...flags: string[]) {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  return startNode([...nodeFlags, ...scripts.start.split(' ').slice(1), ...flags]);
}

function startNode(arguments_: readonly string[]) {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const child = spawn(process.execPath, arguments_, { cwd: ROOT, env: { PATH, NODE_COMPILE_CACHE } });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  const ended = once(child, 'close').then(([status]) => status as number | null);
  return { child, ended, output: () => output, errors: () => errors };
}

describe('the service as a process', () => {
  test.each([
    { signal: 'SIGTERM', nodeFlags: [] },
    { signal: 'SIGHUP', nodeFlags: [] },
    // The starts before have filled the cache, if nothing had yet.
    { signal: 'SIGINT', nodeFlags: ['--import', TELL_MODULES] },
  ] as const)('prints its address alone, answers, and ends with 0 at $signal', async ({ signal, nodeFlags }) => {
    const service = startAsNpm(nodeFlags, '--http', '127.0.0.1:0', '--data', temporaryDirectory(), '--ram', '8M');
    await expect.poll(service.output, { timeout: 10_000 }).toMatch(/^vmferry: http:\/\/127\.0\.0\.1:\d+\n$/);
    const address = service.output().trim().replace('vmferry: ', '');
    expect((await fetch(`${address}/migrate`)).status).toBe(200);
    const events = await fetch(`${address}/events`);
    service.child.kill(signal);
    const told = await events.text();
    expect(told).toMatch(/event: SHUTDOWN\n.*"guest":false,"reason":"host-signal".*event: bye/s);
    expect(await service.ended).toBe(0);
    expect(service.output().split('\n')).toHaveLength(2);
    if (nodeFlags.length === 0) expect(service.errors()).toBe('');
    else expectFewModules(service.errors());
  });

  test('reads its tokens again at SIGHUP, and keeps those that it has if it cannot', async () => {
    const file = tokenFile([`${'a'.repeat(20)} viewer`]);
    const flags = ['--http', '127.0.0.1:0', '--data', temporaryDirectory(), '--ram', '8M', '--log-level', 'info'];
    const service = start(...flags, '--token-file', file);
    await expect.poll(service.output, { timeout: 10_000 }).toContain('http://');
    const address = service.output().trim().replace('vmferry: ', '');
    const statusOf = async (letter: string): Promise<number> =>
      (await fetch(`${address}/status`, { headers: { authorization: `Bearer ${letter.repeat(20)}` } })).status;
    expect([await statusOf('a'), await statusOf('b')]).toEqual([200, 401]);
    for (const [text, said] of [
      [`${'b'.repeat(20)} operator\n`, 'was read again'],
      ['nonsense\n', 'cannot be used'],
    ] as const) {
      writeFileSync(file, text);
      service.child.kill('SIGHUP');
      await expect.poll(service.errors).toContain(said);
      expect([await statusOf('a'), await statusOf('b')]).toEqual([401, 200]);
    }
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
  });

  test('ends with 2 and one line when a flag is wrong', async () => {
    const service = start('--ram', 'much');
    expect(await service.ended).toBe(2);
    expect(service.errors()).toMatch(/^vmferry: --ram must be a size such as 512M .*\n$/);
    expect(service.output()).toBe('');
  });

  test('ends with 2 and one line when a setting for this start is wrong', async () => {
    const service = start('--http', '127.0.0.1:0', '--data', temporaryDirectory(), '--enable', 'teleport');
    expect(await service.ended).toBe(2);
    expect(service.errors()).toMatch(/^vmferry: .*teleport.*\n$/);
  });

  test('ends with 2 and one line when an image is missing, no image, or in use, with 1 when its port is taken', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'text'), 'this is a text\n'.repeat(100));
    const flags = ['--http', '127.0.0.1:0', '--ram', '8M', '--data', directory, '--blockdev'];
    for (const file of ['missing.qcow2', 'text']) {
      const service = start(...flags, `sda=${join(directory, file)}`);
      expect(await service.ended).toBe(2);
      expect(service.errors()).toMatch(new RegExp(`^vmferry: block device node 'sda': [^\n]*${file}[^\n]*\n$`));
      expect(service.output()).toBe('');
    }
    const data = temporaryDirectory();
    const first = start('--http', '127.0.0.1:0', '--ram', '8M', '--data', data);
    await expect.poll(first.output, { timeout: 10_000 }).toContain('http://');
    const second = start(...flags, `sda=${join(data, 'disk0.qcow2')}`);
    expect(await second.ended).toBe(2);
    expect(second.errors()).toMatch(/^vmferry: block device node 'sda': [^\n]*disk0\.qcow2[^\n]*\n$/);

    const port = /:(\d+)\n$/.exec(first.output())?.[1];
    const third = start('--http', `127.0.0.1:${port}`, '--ram', '8M', '--data', temporaryDirectory());
    expect(await third.ended).toBe(1);
    expect(third.errors()).toMatch(/^vmferry: .*EADDRINUSE.*\n$/);
  });
});

/** Code that is in the cache needs neither the type stripper nor a schema compiler. */
function expectFewModules(modules: string): void {
  expect(modules).toMatch(/^NativeModule internal\/modules\/esm\/loader$/m);
  expect(modules).toContain('/node_modules/fastify/');
  expect(modules).not.toContain('amaro');
  expect(modules).not.toContain('/node_modules/ajv/');
}
