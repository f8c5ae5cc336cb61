import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Registry, startRegistry } from '../helpers/package-registry.ts';

/* The package as a user has it: packed, installed with npm, and run. Each test goes on where the one before ended. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

describe('the npm package', () => {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-package-'));
  const prefix = join(directory, 'prefix');
  const command = join(prefix, 'bin/vmferry');
  // No variables of the npm that runs the tests, with its node first in the path.
  const env = { PATH: [dirname(process.execPath), process.env.PATH].join(delimiter), HOME: directory };
  let registry: Registry;
  let tarball = '';

  beforeAll(async () => {
    registry = await startRegistry();
  });

  afterAll(async () => {
    await registry.close();
    rmSync(directory, { recursive: true });
  });

  test('contains the compiled code and its documents, and no source', async () => {
    await run('npm', ['pack', '--pack-destination', directory], { cwd: ROOT, env });
    tarball = join(directory, readdirSync(directory).find((name) => name.endsWith('.tgz')) ?? '');
    const { stdout } = await run('tar', ['-tzf', tarball]);
    const paths = stdout.split('\n').map((path) => path.replace(/^package\//, ''));
    expect(paths).toEqual(
      expect.arrayContaining([
        'bin/vmferry.js',
        'dist/main.js',
        'dist/engine-session-transfer-worker.js',
        'dist/engine-snapshot-worker-block-thread.js',
        'dist/machine-synthetic-vcpu-worker.js',
        'dist/license-typebox.txt',
        'kernels/build/kernels.wasm',
        'migrations-db/0001_history.sql',
        'openapi/openapi.json',
        'docs/errors/wrong_type.md',
      ]),
    );
    expect(paths.filter((path) => /\.ts$|^(?:src|test|scripts)\//.test(path))).toEqual([]);
  });

  test('is installed by npm, with its dependencies', async () => {
    const where = ['--prefix', prefix, '--registry', registry.url, '--cache', join(directory, 'cache')];
    await run('npm', ['install', '--global', '--no-audit', '--no-fund', ...where, tarball], { cwd: directory, env });
    const { stdout } = await run(command, ['--version'], { env });
    expect(stdout).toMatch(/^vmferry \d+\.\d+\.\d+\n$/);
  });

  test('serves, and moves a machine from one service to another', async () => {
    const socket = join(directory, 'incoming.sock');
    const [source, target] = await Promise.all([
      serve('source', '--ram', '32M', '--workload', 'rate=1M,span=8M'),
      serve('target', '--ram', '32M', '--incoming', `unix:${socket}`),
    ]);
    const client = async (url: string, ...words: string[]): Promise<string> =>
      (await run(command, words, { env: { ...env, VMFERRY_URL: url } })).stdout;
    expect(await client(source, 'migrate', `unix:${socket}`, '--wait')).toMatch(
      /^migrated to unix:.* downtime \d+ ms\n$/,
    );
    expect(await client(target, 'status')).toContain('running (running)');
    expect(await client(target, 'snapshot', 'save', 'there')).toMatch(/^saved there: /);
    const page = await fetch(`${target}/errors/wrong_type`);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('wrong_type')]);
  });

  /** Starts a service that ends with the test. @returns its address. */
  async function serve(name: string, ...flags: string[]): Promise<string> {
    const words = ['serve', '--http', '127.0.0.1:0', '--data', join(directory, name), ...flags];
    const child = spawn(command, words, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    onTestFinished(async () => {
      child.kill();
      await ended;
    });
    const [line] = await Promise.race([
      once(createInterface({ input: child.stdout }), 'line'),
      ended.then(() => Promise.reject(new Error(`the ${name} ended`))),
    ]);
    return String(line).replace('vmferry: ', '');
  }
});
