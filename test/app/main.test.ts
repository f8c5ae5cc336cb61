import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { listen, temporaryDirectory, tokenFile } from '../helpers/app.ts';
import { combinations, testInSoak } from '../helpers/combinations.ts';
import { localService } from '../helpers/guest-service.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = join(ROOT, 'bin/vmferry.js');

/** Prints at the end the loaded modules of Node and of packages of the main thread. */
const TELL_MODULES = `data:text/javascript,${encodeURIComponent(`
  import { createRequire } from 'node:module';
  import { isMainThread } from 'node:worker_threads';
  const { cache } = createRequire(${JSON.stringify(import.meta.url)});
  if (isMainThread) process.on('exit', () => console.error([...process.moduleLoadList, ...Object.keys(cache)].join('\\n')));
`)}`;

function start(...flags: string[]) {
  return startNode([MAIN, 'serve', ...flags]);
}

/** The command of `npm start`, without npm. */
function startAsNpm(nodeFlags: readonly string[], ...flags: string[]) {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  return startNode([...nodeFlags, ...scripts.start.split(' ').slice(2), ...flags]);
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
    { signal: 'SIGHUP', nodeFlags: [] },
    // The earlier starts have filled the cache.
    { signal: 'SIGINT', nodeFlags: ['--import', TELL_MODULES] },
  ] as const)(
    'prints only its address and that of the documentation, answers requests, and ends with 0 at $signal',
    async ({ signal, nodeFlags }) => {
      const service = startAsNpm(nodeFlags, '--http', '127.0.0.1:0', '--data', temporaryDirectory(), '--ram', '8M');
      const address = await addressOf(service);
      expect((await fetch(`${address}/migrate`)).status).toBe(200);
      await expectEnds(service, signal, await fetch(`${address}/events`));
      if (nodeFlags.length === 0) expect(service.errors()).toBe('');
      else expectFewModules(service.errors());
    },
  );

  test('reads its tokens again at SIGHUP, keeps the previous tokens if that fails, and ends with 0 at SIGTERM', async () => {
    const file = tokenFile([`${'a'.repeat(20)} viewer`]);
    const flags = ['--http', '127.0.0.1:0', '--data', temporaryDirectory(), '--ram', '8M', '--log-level', 'info'];
    const service = start(...flags, '--token-file', file);
    const address = await addressOf(service);
    const ask = (path: string, letter: string): Promise<Response> =>
      fetch(`${address}${path}`, { headers: { authorization: `Bearer ${letter.repeat(20)}` } });
    const statusOf = async (letter: string): Promise<number> => (await ask('/status', letter)).status;
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
    await expectEnds(service, 'SIGTERM', await ask('/events', 'b'));
  });

  test('ends with 2 and one line for an invalid flag', async () => {
    const service = start('--ram', 'much');
    expect(await service.ended).toBe(2);
    expect(service.errors()).toMatch(/^vmferry: --ram must be a size such as 4096, 512k or 1\.5G .*\n$/);
    expect(service.output()).toBe('');
  });

  testInSoak('ends with 2 and one line for an invalid setting of one start', async () => {
    const service = start('--http', '127.0.0.1:0', '--data', temporaryDirectory(), '--enable', 'teleport');
    expect(await service.ended).toBe(2);
    expect(service.errors()).toMatch(/^vmferry: .*teleport.*\n$/);
  });

  test('ends with 2 and one line for an invalid or locked image, and with 1 for a used port', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'text'), 'this is a text\n'.repeat(100));
    const data = temporaryDirectory();
    const first = await localService([], { data, hasDisk: true });
    const port = await listen(first.app.server);
    const flags = ['--http', '127.0.0.1:0', '--ram', '8M', '--data', directory, '--blockdev'];
    const [invalid, locked] = [join(directory, 'text'), join(data, 'disk0.qcow2')];
    for (const path of combinations([invalid, locked], [locked])) {
      const service = start(...flags, `sda=${path}`);
      expect(await service.ended).toBe(2);
      expect(service.errors()).toMatch(new RegExp(`^vmferry: block device node 'sda': [^\n]*${path}[^\n]*\n$`));
      expect(service.output()).toBe('');
    }
    const last = start('--http', `127.0.0.1:${port}`, '--ram', '8M', '--data', temporaryDirectory());
    expect(await last.ended).toBe(1);
    expect(last.errors()).toMatch(
      /^vmferry: --http .* another program listens there\. Stop it, or choose another port: .*EADDRINUSE.*\n$/,
    );
  });
});

type Started = ReturnType<typeof startNode>;

async function addressOf(service: Started): Promise<string> {
  await expect
    .poll(service.output, { timeout: 10_000 })
    .toMatch(/^vmferry: (http:\/\/127\.0\.0\.1:\d+)\nvmferry: docs \1\/docs\n$/);
  return service.output().split('\n', 1)[0]!.replace('vmferry: ', '');
}

/** Expects that event clients are informed, and that only the addresses were printed. */
async function expectEnds(service: Started, signal: NodeJS.Signals, events: Response): Promise<void> {
  service.child.kill(signal);
  const told = await events.text();
  expect(told).toMatch(/event: SHUTDOWN\n.*"guest":false,"reason":"host-signal".*event: bye/s);
  expect(await service.ended).toBe(0);
  expect(service.output().split('\n')).toHaveLength(3);
}

/** Code that is in the cache needs neither the type stripper nor a schema compiler. */
function expectFewModules(modules: string): void {
  expect(modules).toMatch(/^NativeModule internal\/modules\/esm\/loader$/m);
  expect(modules).toContain('/node_modules/fastify/');
  expect(modules).not.toContain('amaro');
  expect(modules).not.toContain('/node_modules/ajv/');
}
