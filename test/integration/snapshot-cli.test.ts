// The command line client against a whole service: a real engine, real images, real signals.

import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { freePort, type ServiceProcess, startClient, startService } from '../helpers/client-process.ts';

/** A guest that is saved in a moment, and one that takes long enough to be caught at it. */
const SMALL = ['--ram', '16M', '--workload', 'rate=2M,span=4M'];
const LARGE = ['--ram', '384M', '--workload', 'rate=0,fill=random'];

async function service(guest: readonly string[]): Promise<ServiceProcess> {
  return startService(['--http', '127.0.0.1:0', '--data', temporaryDirectory(), ...guest]);
}

async function run(url: string, ...words: string[]) {
  const client = startClient(url, words);
  const [status] = await client.ended;
  return { status, output: client.output(), errors: client.errors() };
}

async function runState(url: string): Promise<unknown> {
  return ((await (await fetch(`${url}/status`)).json()) as { status: unknown }).status;
}

describe('vmferry snapshot', () => {
  test('saves, lists, verifies, loads and deletes', async () => {
    const { url } = await service(SMALL);
    expect(await run(url, 'save', 'warm')).toMatchObject({
      status: 0,
      output: expect.stringMatching(/^saved warm: [\d.]+ MiB in [\d.]+ s\n$/),
    });
    const { output } = await run(url, 'list');
    expect(output.split('\n')).toEqual([
      expect.stringMatching(/^TAG +DATE +VM STATE +VM CLOCK +NODES +REMARKS$/),
      expect.stringMatching(/^warm +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +[\d.]+ MiB +\d+:\d\d +disk0$/),
      '',
    ]);
    const listed = JSON.parse((await run(url, 'list', 'warm', '--json')).output) as { snapshots: unknown[] };
    expect(listed.snapshots).toEqual([expect.objectContaining({ tag: 'warm', consistent: true, 'has-digests': true })]);
    for (const verb of ['verify', 'load', 'delete']) {
      expect(await run(url, verb, 'warm'), verb).toMatchObject({
        status: 0,
        errors: expect.not.stringContaining('vmferry:'),
      });
    }
    expect(await run(url, 'list', '--quiet')).toEqual({ status: 0, output: '', errors: '' });
    expect(await runState(url)).toBe('running');
  });

  test('ends with 4 and the code for what the service refuses', async () => {
    const { url } = await service(SMALL);
    for (const words of [
      ['load', 'warm'],
      ['delete', 'warm'],
      ['verify', 'warm'],
      ['list', 'warm'],
    ]) {
      const refused = { status: 4, output: '', errors: expect.stringContaining('refused (404 snapshot_not_found): ') };
      expect(await run(url, ...words)).toEqual(refused);
    }
    expect(await run(url, 'save', 'warm', '-q')).toMatchObject({ status: 0, output: 'warm\n' });
    expect((await run(url, 'save', 'warm')).errors).toContain('refused (409 snapshot_exists): ');
    expect((await run(url, 'save', '12')).errors).toContain('refused (422 invalid_tag): ');
    expect((await run(url, 'save', 'x', '--device', 'nowhere')).errors).toContain('(404 node_not_found): ');
  });

  test('finds the job again under its key', async () => {
    const { url } = await service(SMALL);
    const first = await run(url, 'save', 'warm', '--no-wait', '-q', '--idempotency-key', 'run 7');
    const again = await run(url, 'save', 'warm', '--json', '-q', '--idempotency-key', 'run 7');
    expect(again.status).toBe(0);
    expect(JSON.parse(again.output)).toMatchObject({ outcome: 'completed', job: { id: first.output.trim() } });
    expect(await run(url, 'save', 'other', '--idempotency-key', 'run 7')).toMatchObject({
      status: 4,
      errors: expect.stringContaining('idempotency_key_reused'),
    });
  });

  test('cancels its job at Ctrl-C, which leaves nothing behind', async () => {
    const { url } = await service(LARGE);
    const client = startClient(url, ['save', 'warm']);
    await expect.poll(client.errors, { timeout: 20_000, interval: 5 }).toContain('saving warm: ');
    client.child.kill('SIGINT');
    expect(await client.ended).toEqual([130, null]);
    expect(client.errors()).toContain('interrupted: was cancelled (job_cancelled)');
    expect((await run(url, 'list', '-q')).output).toBe('');
    expect(await runState(url)).toBe('running');
  });

  test('ends with 5 at a time-out; the job goes on, or is cancelled', async () => {
    const { url } = await service(LARGE);
    expect((await run(url, 'save', 'a', '--timeout', '0.01', '--cancel-on-timeout')).status).toBe(5);
    expect((await run(url, 'list', '-q')).output).toBe('');
    const left = await run(url, 'save', 'b', '--timeout', '0', '--idempotency-key', 'b');
    expect(left).toMatchObject({ status: 5, errors: expect.stringMatching(/job \S+ still runs/) });
    expect((await run(url, 'save', 'b', '--idempotency-key', 'b')).status).toBe(0);
  });

  test('outlives the service: after a restart the job has failed, and it ends with 1', async () => {
    const flags = ['--http', `127.0.0.1:${await freePort()}`, '--data', temporaryDirectory(), ...LARGE];
    const { child, url } = await startService(flags);
    const client = startClient(url, ['save', 'warm']);
    await expect.poll(client.errors, { timeout: 20_000, interval: 5 }).toContain('saving warm: ');
    child.kill('SIGKILL');
    await startService(flags);
    expect(await client.ended).toEqual([1, null]);
    expect(client.errors()).toContain('trying again');
    expect(client.errors()).toContain('failed (service_stopped): ');
    expect((await run(url, 'list', '-q')).output).toBe('');
  });

  test('ends with 3 if the service does not come back', async () => {
    const { child, url } = await service(LARGE);
    const client = startClient(url, ['save', 'warm', '--reconnect', '1']);
    await expect.poll(client.errors, { timeout: 20_000, interval: 5 }).toContain('saving warm: ');
    child.kill('SIGKILL');
    expect(await client.ended).toEqual([3, null]);
    expect(client.errors()).toMatch(/what became of job \S+ is not known/);
  });
});
