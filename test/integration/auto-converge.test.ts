// A guest that dirties its memory faster than it can be sent: 400 MB/s over 200 MB/s.

import { describe, expect, test } from 'vitest';
import { testInSoak } from '../helpers/combinations.ts';
import { localService, type MigrateInfo, type Service } from '../helpers/guest-service.ts';

const GUEST = ['--ram', '48M', '--workload', 'rate=400M,span=32M,pattern=seq'] as const;
const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;
const MAX_BANDWIDTH = 200_000_000;
/** A third of the duration of a pass over the span, in milliseconds. */
const DOWNTIME_LIMIT = 50;
/** Passes after which a migration that converges would have ended. */
const PASSES = 12;
/** The period for the write rate of the guest, in milliseconds. */
const WINDOW_MS = 400;

type Throttled = MigrateInfo & { readonly 'cpu-throttle-percentage'?: number };

const throttleOf = (info: Throttled): number => info['cpu-throttle-percentage'] ?? 0;

async function pair(guest: readonly string[] = GUEST): Promise<{ source: Service; target: Service }> {
  const source = await localService(guest);
  const target = await localService([...guest, ...INCOMING]);
  await source.expectRunning();
  return { source, target };
}

/** The write rate of the guest, in pages per second. */
async function pageRate(service: Service): Promise<number> {
  const written = async () => (await service.get<{ 'pages-written': number }>('/machine'))['pages-written'];
  const [startMs, before] = [performance.now(), await written()];
  await expect.poll(() => performance.now() - startMs).toBeGreaterThan(WINDOW_MS);
  return (((await written()) - before) * 1000) / (performance.now() - startMs);
}

/** The throttle values of GET /migrate until `holds`, each once, in order. */
async function throttlesUntil(service: Service, holds: (info: Throttled) => boolean): Promise<number[]> {
  const seen: number[] = [];
  await service.until((info) => {
    const percentage = throttleOf(info);
    if (percentage !== (seen.at(-1) ?? 0)) seen.push(percentage);
    return holds(info);
  });
  return seen;
}

describe('a guest that dirties twice the send rate', () => {
  test('does not converge without auto-converge', async () => {
    const { source, target } = await pair();
    await source.set({ 'max-bandwidth': MAX_BANDWIDTH, 'downtime-limit': DOWNTIME_LIMIT });
    await source.start(await target.incomingUri());
    const info: Throttled = await source.until(({ ram }) => (ram?.['dirty-sync-count'] ?? 0) > PASSES);
    expect(info).toMatchObject({ status: 'active' });
    expect(throttleOf(info)).toBe(0);
    expect(await source.cancel()).toBe('cancelled');
    expect(await source.ended()).toMatchObject({ status: 'cancelled', guest: 'here' });
  });

  test('converges with auto-converge, is throttled by the configured steps, and keeps running at the target', async () => {
    const { source, target } = await pair();
    await source.enable('auto-converge');
    const throttle = { 'cpu-throttle-initial': 60, 'cpu-throttle-increment': 15 };
    await source.set({ ...throttle, 'max-bandwidth': MAX_BANDWIDTH, 'downtime-limit': DOWNTIME_LIMIT });
    await source.start(await target.incomingUri());
    const seen = await throttlesUntil(source, ({ status }) => status === 'completed');
    expect([60, 75, 90, 99, 0].filter((step) => seen.includes(step))).toEqual(seen);
    expect(seen).toContain(60);
    expect(await source.ended()).toMatchObject({ status: 'completed', error: null, guest: 'there' });
    await target.expectRunning();
    expect((await source.query()) as Throttled).not.toHaveProperty('cpu-throttle-percentage');
  });

  test('runs at full speed again after a cancel', async () => {
    const { source, target } = await pair(['--ram', '16M', '--workload', 'rate=400M,span=12M,pattern=seq']);
    const before = await pageRate(source);
    await source.enable('auto-converge');
    // The throttled guest dirties 40 MB/s, more than is sent: no sync finds RAM clean, so the migration does not complete.
    const throttle = { 'cpu-throttle-initial': 90, 'max-cpu-throttle': 90 };
    await source.set({ ...throttle, 'max-bandwidth': 20_000_000, 'downtime-limit': 0 });
    await source.start(await target.incomingUri());
    await source.until((info: Throttled) => throttleOf(info) === 90);
    expect(await pageRate(source)).toBeLessThan(before / 4);
    expect(await source.cancel()).toBe('cancelled');
    expect(await source.ended()).toMatchObject({ status: 'cancelled', guest: 'here' });
    await expect.poll(() => pageRate(source)).toBeGreaterThan(before / 2);
  });
});

/** QEMU's scenario /migration/auto_converge, with its figures for throttle, bandwidth and downtime. */
testInSoak(
  'a migration that cannot converge throttles from cpu-throttle-initial on, and ends after its limits are raised',
  async () => {
    const { source, target } = await pair(['--ram', '8M', '--workload', 'rate=80M,span=2M,pattern=seq']);
    await source.enable('auto-converge', 'pause-before-switchover');
    const throttle = { 'cpu-throttle-initial': 5, 'cpu-throttle-increment': 25, 'max-cpu-throttle': 95 };
    await source.set({ ...throttle, 'max-bandwidth': 3_000_000, 'downtime-limit': 1 });
    await source.start(await target.incomingUri());
    const [first] = await throttlesUntil(source, (info) => throttleOf(info) > 0);
    expect(first).toBeGreaterThanOrEqual(5);
    await source.set({ 'max-bandwidth': 1_000_000_000, 'downtime-limit': 30_000 });
    const info: Throttled = await source.untilStatus('pre-switchover');
    expect(throttleOf(info)).toBeGreaterThanOrEqual(5);
    expect(throttleOf(info)).toBeLessThanOrEqual(95);
    await source.post('/migrate/continue', { state: 'pre-switchover' });
    expect(await source.ended()).toMatchObject({ status: 'completed', error: null });
    await target.expectRunning();
  },
);
