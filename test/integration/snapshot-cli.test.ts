// The command-line client against a complete service: a real engine, real images, real signals. A client that is
// interrupted, or that outlives its service, is a separate process.

import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { listeningService, type Ran, runCommand } from '../helpers/client-here.ts';
import { type Client, freePort, startClient, startService } from '../helpers/client-process.ts';

/** A guest that is saved quickly, and one whose save takes long enough to be interrupted. */
const SMALL = ['--ram', '16M', '--workload', 'rate=2M,span=4M'];
const LARGE = ['--ram', '96M', '--workload', 'rate=0,fill=random'];

function run(url: string, ...words: string[]): Promise<Ran> {
  return runCommand(url, ['snapshot', ...words]);
}

async function runState(url: string): Promise<unknown> {
  return ((await (await fetch(`${url}/status`)).json()) as { status: unknown }).status;
}

describe('vmferry snapshot', () => {
  test('saves, lists, verifies, loads and deletes, repeats a job by its key, and ends with 4 at a refusal', async () => {
    const url = await listeningService(SMALL);
    for (const verb of ['load', 'list']) {
      const refused = { status: 4, output: '', errors: expect.stringContaining('refused (404 snapshot_not_found): ') };
      expect(await run(url, verb, 'warm')).toEqual(refused);
    }
    expect(await run(url, 'save', 'warm')).toMatchObject({
      status: 0,
      output: expect.stringMatching(/^saved warm: [\d.]+ MiB in [\d.]+ s\n$/),
    });
    expect((await run(url, 'save', 'warm')).errors).toContain('refused (409 snapshot_exists): ');
    expect((await run(url, 'save', 'x', '--device', 'nowhere')).errors).toContain('(404 node_not_found): ');
    const { output } = await run(url, 'list');
    expect(output.split('\n')).toEqual([
      expect.stringMatching(/^TAG +DATE +VM STATE +RAM +VCPUS +VM CLOCK +NODES +REMARKS$/),
      expect.stringMatching(/^warm +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +[\d.]+ MiB +[\d.]+ MiB +\d+ +\d+:\d\d +disk0$/),
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
    const first = await run(url, 'save', 'warm', '--no-wait', '-q', '--idempotency-key', 'run 7');
    const again = await run(url, 'save', 'warm', '--json', '-q', '--idempotency-key', 'run 7');
    expect(again.status).toBe(0);
    expect(JSON.parse(again.output)).toMatchObject({ outcome: 'completed', job: { id: first.output.trim() } });
    expect(await run(url, 'save', 'other', '--idempotency-key', 'run 7')).toMatchObject({
      status: 4,
      errors: expect.stringContaining('idempotency_key_reused'),
    });
    expect(await runState(url)).toBe('running');
  });

  test('cancels its job at Ctrl-C, ends with 5 at a time-out, and after a loss of the service with 1 if it returns and 3 if it does not', async () => {
    const flags = ['--http', `127.0.0.1:${await freePort()}`, '--data', temporaryDirectory(), ...LARGE];
    const first = await startService(flags);
    const { url } = first;
    const interrupted = await caughtSaving(url, 'warm');
    interrupted.child.kill('SIGINT');
    expect(await interrupted.ended).toEqual([130, null]);
    expect(interrupted.errors()).toContain('interrupted: was cancelled (job_cancelled)');
    expect((await run(url, 'list', '-q')).output).toBe('');
    expect(await runState(url)).toBe('running');
    expect((await run(url, 'save', 'a', '--timeout', '0.01', '--cancel-on-timeout')).status).toBe(5);
    expect((await run(url, 'list', '-q')).output).toBe('');
    const late = await run(url, 'save', 'b', '--timeout', '0', '--idempotency-key', 'b');
    expect(late).toMatchObject({ status: 5, errors: expect.stringMatching(/job \S+ still runs/) });
    expect((await run(url, 'save', 'b', '--idempotency-key', 'b')).status).toBe(0);

    const client = await caughtSaving(url, 'warm');
    first.child.kill('SIGKILL');
    const second = await startService(flags);
    expect(await client.ended).toEqual([1, null]);
    expect(client.errors()).toContain('trying again');
    expect(client.errors()).toContain('failed (service_stopped): ');
    expect((await run(url, 'list', '-q')).output).toBe('b\n');

    const left = await caughtSaving(url, 'warm', '--reconnect', '1');
    second.child.kill('SIGKILL');
    expect(await left.ended).toEqual([3, null]);
    expect(left.errors()).toMatch(/the outcome of job \S+ is unknown/);
  });
});

/** A client with a save in progress. */
async function caughtSaving(url: string, ...words: readonly string[]): Promise<Client> {
  const client = startClient(url, ['save', ...words]);
  await expect.poll(client.errors, { timeout: 20_000, interval: 5 }).toContain('saving warm: ');
  return client;
}
