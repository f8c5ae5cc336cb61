// Two complete services: a guest migrates from one to the other while it writes its memory.
// QEMU scenario: /migration/precopy/tcp/plain

import { describe, expect, test } from 'vitest';
import { testInSoak } from '../helpers/combinations.ts';
import { eventsOf, localService } from '../helpers/guest-service.ts';

const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;

describe('a migration over TCP', () => {
  test('moves a running guest, whose ticks continue without a gap', async () => {
    const flags = ['--ram', '64M', '--workload', 'rate=20M,span=16M,pattern=hot'];
    const source = await localService(flags);
    const target = await localService([...flags, ...INCOMING, '--enable', 'events']);
    await source.enable('events');
    await source.set({ 'max-bandwidth': 200_000_000 });
    await expect.poll(async () => (await source.guest()).ticks).toBeGreaterThan(2);

    const row = await source.migrate(await target.incomingUri());

    expect(row).toMatchObject({ status: 'completed', error: null, guest: 'there' });
    expect(await source.runState()).toBe('postmigrate');
    const info = await source.query();
    expect(info.ram?.remaining).toBe(0);
    await target.untilStatus('completed');
    const there = await source.consoleTicks();
    await target.expectRunning();
    const here = await target.consoleTicks();
    expect(here.slice(0, there.length)).toEqual(there);
    expect(here.length).toBeGreaterThan(there.length);
    expect(here).toEqual(here.map((_, index) => index + 1));
    const checked = (await target.guest())['pages-checked'];
    await expect.poll(async () => (await target.guest())['pages-checked']).toBeGreaterThan(checked);
    expect((await source.guest()).ticks).toBe(there.length);
    expectOrder(eventsOf(source), ['MIGRATION setup', 'MIGRATION_PASS 1', 'MIGRATION active', 'STOP']);
    expectOrder(eventsOf(source), ['STOP', 'MIGRATION device', 'MIGRATION completed']);
    expectOrder(eventsOf(target), ['MIGRATION setup', 'MIGRATION active', 'RESUME', 'MIGRATION completed']);
  });

  test('moves a guest to a service that sends it on, keeps a stopped guest stopped, and excludes a second migration', async () => {
    const [first, second, third] = [await localService(), await localService(INCOMING), await localService(INCOMING)];
    for (const service of [first, second, third]) await service.enable('return-path');
    const refusal = async (): Promise<unknown[]> => {
      const { status, json } = await first.call('/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
      return [status, json.code];
    };

    await first.enable('pause-before-switchover');
    await first.start(await second.incomingUri());
    await first.untilStatus('pre-switchover');
    expect(await refusal()).toEqual([409, 'migration_in_progress']);
    await first.post('/migrate/continue', { state: 'pre-switchover' });
    expect(await first.ended()).toMatchObject({ status: 'completed' });
    expect(await refusal()).toEqual([409, 'machine_postmigrate']);
    await second.untilStatus('completed');
    await second.expectRunning();

    await second.post('/stop');
    expect(await second.migrate(await third.incomingUri())).toMatchObject({ status: 'completed' });
    await third.untilStatus('completed');
    expect(await third.runState()).toBe('paused');
    await third.post('/cont');
    await third.expectRunning();
    const ticks = await third.consoleTicks();
    expect(ticks).toEqual(ticks.map((_, index) => index + 1));
    expect([await first.runState(), await second.runState()]).toEqual(['postmigrate', 'postmigrate']);
  });
});

/** A guest that dirties 30 MB/s of 1 MiB against 5 MB/s: a switchover would take 0.2 s. */
describe('a guest that dirties faster than max-bandwidth', () => {
  const flags = ['--ram', '12M', '--workload', 'rate=30M,span=1M,pattern=seq'];
  const limitMs = 50;

  async function stalled() {
    const source = await localService(flags);
    const target = await localService([...flags, ...INCOMING]);
    await source.set({ 'max-bandwidth': 5_000_000, 'downtime-limit': limitMs });
    await source.expectRunning();
    await source.start(await target.incomingUri());
    const verdict = async () => (await source.get<{ verdict: Verdict | null }>('/migrate/progress')).verdict;
    await source.until(async ({ ram }) => {
      if ((ram?.['dirty-sync-count'] ?? 0) < 3) return false;
      return ['stalled', 'hopeless'].includes((await verdict())?.verdict ?? '');
    });
    return { source, target, verdict };
  }

  test('is migrated in passes, reported as hopeless with a reason, and completes after max-bandwidth is raised', async () => {
    const { source, target, verdict } = await stalled();
    const before = await source.query();
    expect(await verdict()).toMatchObject({ reason: expect.stringContaining('max-bandwidth') });
    // The dirty bytes at the last sync divided by the bandwidth: at least the remaining bytes, and at most all bytes that the guest writes
    // plus the rest of a pass that ends because the rest fits into the downtime limit.
    const progress = await source.get<Progress>('/migrate/progress');
    expect(progress['expected-downtime']).toBeGreaterThan(limitMs);
    const dirtyAtSync = (progress['expected-downtime'] * progress.rate) / 1000;
    expect(dirtyAtSync).toBeGreaterThan(progress.remaining * 0.98);
    expect(dirtyAtSync).toBeLessThan((2 ** 20 + (limitMs / 1000) * 5_000_000) * 1.1);
    expect(progress.rate).toBeLessThan(5_000_000 * 1.2);
    const grown = await source.until(({ ram }) => ram!['dirty-sync-count']! > before.ram!['dirty-sync-count']!);
    expect(grown.status).toBe('active');

    await source.set({ 'max-bandwidth': 1_000_000_000 });
    expect(await source.ended()).toMatchObject({ status: 'completed' });
    await target.expectRunning();
  });

  testInSoak('completes after downtime-limit is raised', async () => {
    const { source, target } = await stalled();
    await source.set({ 'downtime-limit': 10_000 });
    expect(await source.ended()).toMatchObject({ status: 'completed' });
    await target.expectRunning();
  });

  testInSoak('completes after its workload is reduced', async () => {
    const { source, target } = await stalled();
    const reply = await source.call('/machine/workload', { method: 'PATCH', body: { rate: 100_000 } });
    expect(reply.status, reply.text).toBe(200);
    expect(await source.ended()).toMatchObject({ status: 'completed' });
    await target.expectRunning();
  });
});

type Verdict = { readonly verdict: string; readonly reason: string };
type Progress = { readonly rate: number; readonly remaining: number; readonly 'expected-downtime': number };

function expectOrder(events: readonly string[], expected: readonly string[]): void {
  const places = expected.map((event) => events.indexOf(event));
  expect(places, `${expected.join(', ')} in ${events.join(', ')}`).not.toContain(-1);
  expect(places).toEqual([...places].sort((a, b) => a - b));
}
