// A busy guest of 512 MiB that is migrated in both directions between services in separate processes.

import { expect } from 'vitest';
import { temporaryDirectory } from './app.ts';
import { type Spawned, spawnService } from './guest-service.ts';

const GUEST = ['--ram', '512M', '--workload', 'rate=100M,span=128M,pattern=hot'] as const;
const SETTINGS = ['--set', 'max-bandwidth=1000000000', '--enable', 'events'] as const;
const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;

/**
 * Migrates the guest `legs` times and checks that no tick and no page is lost. As with QEMU, a process takes one guest in
 * its life: the service that is to receive next is started anew.
 * @returns the downtimes in milliseconds, the shortest first.
 */
export async function moveThereAndBack(legs: number): Promise<number[]> {
  const data = [temporaryDirectory(), temporaryDirectory()] as const;
  let source = await spawnService(data[0], [...GUEST, ...SETTINGS]);
  const downtimes: number[] = [];
  let ticks: readonly number[] = [];
  for (let leg = 1; leg <= legs; leg += 1) {
    const target = await spawnService(data[leg % 2]!, [...GUEST, ...SETTINGS, ...INCOMING]);
    downtimes.push(await move(source, target, ticks));
    expect(await source.end('SIGTERM')).toBe(0);
    source = target;
    ticks = await source.consoleTicks();
  }
  await source.expectRunning();
  return downtimes.sort((a, b) => a - b);
}

/** @returns the downtime in milliseconds. */
async function move(source: Spawned, target: Spawned, ticksBefore: readonly number[]): Promise<number> {
  await source.expectRunning();
  const checked = (await source.guest())['pages-checked'];
  await expect.poll(async () => (await source.guest())['pages-checked']).toBeGreaterThan(checked);
  const row = await source.migrate(await target.incomingUri());
  expect(row, JSON.stringify(row)).toMatchObject({ status: 'completed', error: null, guest: 'there' });
  await target.untilStatus('completed');
  expect([await source.runState(), await target.runState()]).toEqual(['postmigrate', 'running']);
  const downtime = (await source.query()).downtime!;
  await target.expectRunning();
  const [there, here] = [await source.consoleTicks(), await target.consoleTicks()];
  // The console keeps the newest 4 KiB, so its first line may be incomplete.
  expect(here).toEqual(here.map((_, index) => here[0]! + index));
  // The console of the source has ended and that of the target continues: no tick is missing between them.
  expect(here[0]).toBeLessThanOrEqual(there.at(-1)! + 1);
  expect(here.at(-1)).toBeGreaterThan(ticksBefore.at(-1) ?? 0);
  return downtime;
}
