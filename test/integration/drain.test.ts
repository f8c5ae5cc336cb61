// A process that is asked to end: running work ends first, or is undone at the time limit, and event clients are
// informed.

import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { testInSoak } from '../helpers/combinations.ts';
import { localService, type Spawned, spawnService, startProcess } from '../helpers/guest-service.ts';
import { shared } from '../helpers/shared.ts';
import { expectClean, tagsOf } from '../helpers/snapshots/qemu-image.ts';
import { Snapshots } from '../helpers/snapshots/snapshot-client.ts';

const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;
/** A guest so large that a save does not end before the signal. */
const LARGE = ['--ram', '32M', '--workload', 'rate=20M,span=8M,pattern=hot,fill=random'] as const;

/** The text of the event stream of a process, until it ends. */
async function followed(service: Spawned): Promise<Promise<string>> {
  const response = await fetch(`${service.url}/events`);
  const text = response.text();
  // A test that fails earlier does not read it.
  text.catch(() => {});
  return text;
}

function namesIn(stream: string): string[] {
  return [...stream.matchAll(/^event: (\S+)$/gm)].map((match) => match[1] ?? '');
}

/** Starts an outgoing migration. @returns its id, when it sends pages. */
async function startSending(source: Spawned, uri: string): Promise<string> {
  const id = await source.start(uri);
  await source.until(({ ram }) => (ram?.transferred ?? 0) > 0);
  return id;
}

/** Each test starts a service on the data of the previous test, and checks this data. */
describe('SIGTERM', () => {
  const data = shared(async () => temporaryDirectory());
  const start = (...flags: readonly string[]): Promise<Spawned> => spawnService(data(), flags);
  let last = '';
  /** The job of the save that was cut off. */
  let cutOff = '';

  test('during an outgoing migration lets it complete, accepts no new work, informs event clients, and ends with 0', async () => {
    const target = await localService(INCOMING);
    const source = await start('--set', 'max-bandwidth=8M', '--drain-timeout', '40');
    await source.enable('events');
    const stream = followed(source);
    last = await startSending(source, await target.incomingUri());
    const ended = source.end('SIGTERM');
    await expect.poll(async () => (await source.call('/readyz')).status).toBe(503);
    const refused = await source.call('/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    expect([refused.status, refused.json.code]).toEqual([503, 'shutting_down']);
    expect((await source.query()).status).not.toBe('cancelled');
    await source.set({ 'max-bandwidth': 0 });
    expect(await ended).toBe(0);
    expect(namesIn(await stream).slice(-3)).toEqual(['MIGRATION', 'SHUTDOWN', 'bye']);
    expect(await target.runState()).toBe('running');
  });

  test('during an outgoing migration without a drain time cancels it, the target aborts, and the status is 0', async () => {
    const target = await localService(INCOMING);
    const source = await start('--set', 'max-bandwidth=1M', '--drain-timeout', '0');
    expect(await source.row(last)).toMatchObject({ status: 'completed', guest: 'there' });
    const stream = followed(source);
    last = await startSending(source, await target.incomingUri());
    expect(await source.end('SIGTERM')).toBe(0);
    expect(source.errors()).toBe('');
    expect(namesIn(await stream).at(-1)).toBe('bye');
    expect((await target.ended()).status).toBe('failed');
  });

  test('during a save completes the snapshot, and a second service on the data directory is refused before that without damage', async () => {
    const service = await start(...LARGE, '--drain-timeout', '40');
    expect(await service.row(last)).toMatchObject({ status: 'cancelled', guest: 'here' });
    const second = startProcess(data(), []);
    const errors: string[] = [];
    second.stderr?.on('data', (chunk) => errors.push(String(chunk)));
    expect((await once(second, 'close'))[0]).toBeGreaterThan(0);
    expect(errors.join('')).toMatch(/^vmferry: Another service uses the data/);

    const stream = followed(service);
    await service.expectRunning();
    last = await new Snapshots(service).start('save', 'kept');
    expect(await service.end('SIGTERM')).toBe(0);
    expect(namesIn(await stream).at(-1)).toBe('bye');
  });

  testInSoak('during a save without a drain time undoes it, and the status is 0', async () => {
    const service = await start(...LARGE, '--drain-timeout', '0');
    const snapshots = new Snapshots(service);
    expect(await snapshots.job(last)).toMatchObject({ status: 'concluded', outcome: 'completed' });
    last = await snapshots.start('save', 'cut-off');
    cutOff = last;
    expect(await service.end('SIGTERM')).toBe(0);
    expect(service.errors()).toBe('');
    expectClean(join(data(), 'disk0.qcow2'));
  });

  test('followed by a second signal ends the process at once', async () => {
    const target = await localService([...INCOMING, ...LARGE]);
    const source = await start(...LARGE, '--set', 'max-bandwidth=1M', '--drain-timeout', '40');
    const snapshots = new Snapshots(source);
    const job = await snapshots.job(last);
    expect(job.status).toBe('concluded');
    // The save may have ended before the signal.
    const tags = last === cutOff && job.error === undefined ? ['kept', 'cut-off'] : ['kept'];
    expect(tagsOf(join(data(), 'disk0.qcow2'))).toEqual(tags);
    await snapshots.does('verify', 'kept');
    await snapshots.does('load', 'kept');
    await source.expectRunning();

    await startSending(source, await target.incomingUri());
    const ended = source.end('SIGTERM');
    await expect.poll(async () => (await source.call('/readyz')).status).toBe(503);
    source.process.kill('SIGINT');
    expect(await ended).toBeNull();
    expect((await target.ended()).status).toBe('failed');
  });
});
