// A process that is told to end: what runs ends first, or is taken back when time is up; followers are told.

import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { localService, type Spawned, spawnService } from '../helpers/guest-service.ts';

/** The text of the event stream of a process, until it ends. */
async function followed(service: Spawned): Promise<Promise<string>> {
  const response = await fetch(`${service.url}/events`);
  const text = response.text();
  // A test that fails earlier leaves it unread.
  text.catch(() => {});
  return text;
}

function namesIn(stream: string): string[] {
  return [...stream.matchAll(/^event: (\S+)$/gm)].map((match) => match[1] ?? '');
}

describe('SIGTERM', () => {
  test('during an outgoing migration: it completes, nothing new begins, then followers are told and the status is 0', async () => {
    const target = await localService(['--incoming', 'tcp:127.0.0.1:0']);
    const source = await spawnService(temporaryDirectory(), ['--set', 'max-bandwidth=8M', '--drain-timeout', '40']);
    await source.enable('events');
    const id = await source.start(await target.incomingUri());
    const stream = followed(source);
    await source.until(({ ram }) => (ram?.transferred ?? 0) > 0);
    const ended = source.end('SIGTERM');
    await expect.poll(async () => (await source.call('/readyz')).status).toBe(503);
    const refused = await source.call('/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    expect([refused.status, refused.json.code]).toEqual([503, 'shutting_down']);
    expect((await source.query()).status).not.toBe('cancelled');
    await source.set({ 'max-bandwidth': 0 });
    expect(await ended).toBe(0);
    expect(namesIn(await stream).slice(-3)).toEqual(['MIGRATION', 'SHUTDOWN', 'bye']);
    expect(await target.runState()).toBe('running');
    const { migrations } = await historyAfter(source, id);
    expect(migrations).toMatchObject([{ status: 'completed', guest: 'there' }]);
  });

  test('during an outgoing migration without time for it: it is cancelled, the target gives up, the status is 0', async () => {
    const target = await localService(['--incoming', 'tcp:127.0.0.1:0']);
    const source = await spawnService(temporaryDirectory(), ['--set', 'max-bandwidth=1M', '--drain-timeout', '0']);
    const id = await source.start(await target.incomingUri());
    const stream = followed(source);
    await source.until(({ ram }) => (ram?.transferred ?? 0) > 0);
    expect(await source.end('SIGTERM')).toBe(0);
    expect(namesIn(await stream).at(-1)).toBe('bye');
    expect((await target.ended()).status).toBe('failed');
    expect((await historyAfter(source, id)).migrations).toMatchObject([{ status: 'cancelled', guest: 'here' }]);
  });

  test('during a save: the snapshot is whole', async () => {
    const service = await spawnService(temporaryDirectory(), ['--drain-timeout', '40']);
    const stream = followed(service);
    await service.post('/snapshots', { tag: 'kept' });
    expect(await service.end('SIGTERM')).toBe(0);
    expect(namesIn(await stream).at(-1)).toBe('bye');
    const next = await spawnService(service.data, ['--paused']);
    const { jobs } = await next.get<{ jobs: readonly unknown[] }>('/jobs/history');
    expect(jobs).toMatchObject([{ outcome: 'completed' }]);
    const verified = await next.call('/snapshots/kept/verify', { method: 'POST', headers: { prefer: 'wait=30' } });
    expect(verified.json).toMatchObject({ status: 'concluded', outcome: 'completed' });
  });

  test('a second signal, also another one, ends it at once', async () => {
    const target = await localService(['--incoming', 'tcp:127.0.0.1:0']);
    const source = await spawnService(temporaryDirectory(), ['--set', 'max-bandwidth=1M', '--drain-timeout', '40']);
    await source.start(await target.incomingUri());
    await source.until(({ ram }) => (ram?.transferred ?? 0) > 0);
    const ended = source.end('SIGTERM');
    await expect.poll(async () => (await source.call('/readyz')).status).toBe(503);
    source.process.kill('SIGINT');
    expect(await ended).toBeNull();
    expect((await target.ended()).status).toBe('failed');
  });
});

/** What the next service on the same data says of a migration of the one before. */
async function historyAfter(before: Spawned, id: string): Promise<{ migrations: readonly unknown[] }> {
  const next = await spawnService(before.data, ['--paused']);
  return { migrations: [await next.row(id)] };
}
