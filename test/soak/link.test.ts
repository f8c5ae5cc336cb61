// A migration over a link whose rate changes all the time, with stalls: nothing fails, the verdict follows the rate,
// and the downtime is within its limit plus one stall.

import { expect, onTestFinished, test } from 'vitest';
import { localService } from '../helpers/guest-service.ts';
import { randomNumbers } from '../helpers/qcow2/damage.ts';
import { Relay } from '../helpers/relay.ts';

const SEEDS = [1, 2, 3];
/** Bytes a second. */
const RATES = [400_000, 2_000_000, 10_000_000, 40_000_000] as const;
const STALL_EVERY = 12;
const STALL_MS = 2000;
const CHANGES = 60;

test.each(SEEDS)(
  'jitter and stalls fail no migration, and the guest moves after the link recovers (seed %d)',
  async (seed) => {
    const random = randomNumbers(seed);
    const flags = ['--ram', '32M', '--workload', 'rate=20M,span=4M,pattern=seq'];
    const source = await localService(flags);
    const target = await localService([...flags, '--incoming', 'tcp:127.0.0.1:0']);
    const relay = await Relay.to(await target.incomingUri());
    // It continues with passes, since the downtime limit is 0.
    await source.set({ 'downtime-limit': 0, 'max-bandwidth': 0 });
    await source.expectRunning();
    await source.start(relay.uri);
    for (let change = 1; change <= CHANGES; change += 1) {
      const isStall = change % STALL_EVERY === 0;
      relay.rate = isStall ? 0 : RATES[Math.floor(random() * RATES.length)]!;
      await moment(isStall ? STALL_MS : 20 + random() * 180);
    }
    expect([(await source.query()).status, await source.runState()]).toEqual(['active', 'running']);
    relay.rate = Number.POSITIVE_INFINITY;
    await source.set({ 'downtime-limit': 300 });
    expect(await source.ended()).toMatchObject({ status: 'completed', guest: 'there', error: null });
    expect((await source.query()).downtime).toBeLessThan(STALL_MS + 1000);
    await target.untilStatus('completed');
    await target.expectRunning();
  },
);

function moment(milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  onTestFinished(() => clearTimeout(timer));
  return promise;
}
