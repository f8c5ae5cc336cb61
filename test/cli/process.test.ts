import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BIN, startClient } from '../helpers/client-process.ts';
import { concluded, fakeService, running } from './fake-service.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

describe('vmferry snapshot as a process', () => {
  test.each([
    ['src/main.ts', MAIN],
    ['bin/vmferry.js', BIN],
  ])('ends with the status of the command: %s', async (_, entry) => {
    const service = await fakeService(concluded());
    const client = startClient(service.url, ['save', 'warm'], [entry]);
    expect(await client.ended).toEqual([0, null]);
    expect(client.output()).toMatch(/^saved warm: 64\.0 MiB in \d\.\d s\n$/);
    const refused = startClient(service.url, ['list'], [entry]);
    expect(await refused.ended).toEqual([4, null]);
    expect(refused.errors()).toMatch(/^vmferry: listing snapshots: refused \(404 not_found\)/);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('cancels its job at %s and ends with %i', async (signal, status) => {
    const service = await fakeService(running(1, 2));
    const client = startClient(service.url, ['save', 'warm']);
    await expect.poll(client.errors, { timeout: 10_000 }).toContain('running, 50 %');
    client.child.kill(signal);
    expect(await client.ended).toEqual([status, null]);
    expect(service.asked).toContain('POST /jobs/j1/cancel');
    expect(client.errors()).toContain('interrupted: was cancelled (job_cancelled)');
  });

  test('ends at the second interrupt, even if the service does not answer', async () => {
    const service = await fakeService(running(1, 2));
    service.handler = (seen) => (seen.path.endsWith('/cancel') ? new Promise(() => {}) : service.serve(seen));
    const client = startClient(service.url, ['save', 'warm']);
    await expect.poll(client.errors, { timeout: 10_000 }).toContain('running, 50 %');
    client.child.kill('SIGINT');
    await expect.poll(() => service.asked, { timeout: 10_000 }).toContain('POST /jobs/j1/cancel');
    client.child.kill('SIGINT');
    expect(await client.ended).toEqual([130, null]);
  });

  test('continues and keeps its status when its output is closed', async () => {
    const service = await fakeService(running(1, 2), running(1, 2), concluded());
    const client = startClient(service.url, ['save', 'warm', '--json']);
    client.child.stdout?.destroy();
    client.child.stderr?.destroy();
    expect(await client.ended).toEqual([0, null]);
    expect(service.states).toEqual([concluded()]);
  });

  test.each([
    ['results', 'out'],
    ['errors', 'err'],
  ] as const)('ends with 3 when its %s go to a full disk', async (_, which) => {
    const service = await fakeService(running(1, 2), concluded());
    const full = openSync('/dev/full', 'w');
    onTestFinished(() => closeSync(full));
    const stdio = { out: ['ignore', full, 'pipe'], err: ['ignore', 'ignore', full] } as const;
    const env = { PATH: process.env.PATH, VMFERRY_URL: service.url };
    const child = spawn(process.execPath, [BIN, 'snapshot', 'save', 'warm'], { env, stdio: [...stdio[which]] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let errors = '';
    child.stderr?.on('data', (chunk) => {
      errors += String(chunk);
    });
    expect(await once(child, 'close')).toEqual([3, null]);
    expect(service.states).toEqual([concluded()]);
    if (which === 'out') expect(errors).toMatch(/^vmferry: the output could not be written: ENOSPC: .*\n$/m);
  });

  test('loads no file of the service', async () => {
    const service = await fakeService(concluded());
    const report = `data:text/javascript,${encodeURIComponent(LOADED_REPORT)}`;
    const client = startClient(service.url, ['save', 'warm'], ['--import', report, MAIN]);
    expect(await client.ended).toEqual([0, null]);
    const loaded = client.errors().trimEnd().split('\n');
    expect(loaded.some((path) => path.endsWith('/src/cli/client-program.ts'))).toBe(true);
    const allowed =
      /\/src\/(?:main\.ts|config\.ts|config\/[\w-]+\.ts|text\/[\w-]+\.ts|cli\/[\w/-]+\.ts)$|\/node_modules\/(?:commander|eventsource-parser)\//;
    expect(loaded.filter((path) => path.startsWith('file:') && !allowed.test(path))).toEqual([]);
  });
});

/** Prints the loaded files on standard error. */
const LOADED_REPORT = `
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  registerHooks({ load: (url, context, next) => { writeSync(2, url + '\\n'); return next(url, context); } });
`;
