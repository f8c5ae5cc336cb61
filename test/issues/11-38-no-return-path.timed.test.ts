// Without a return path no target answers pings: what arrived is what the peer's system acknowledged (TCP_INFO, or the send
// queue of a unix socket). The gauge was tested by itself only, and no migration over a link that collapses showed that
// the verdict, the estimate and the moment of the stop go by it. See 11-38-collapsing-link.timed.test.ts for the fault.

import { expect, test } from 'vitest';
import { setCapabilities } from '../helpers/closing-peer.ts';
import { localService } from '../helpers/guest-service.ts';
import { Relay } from '../helpers/relay.ts';
import { addressToListen, SOCKET_TRANSPORTS } from '../helpers/transports.ts';

type Progress = {
  readonly rate: number;
  readonly 'expected-downtime': number;
  readonly verdict: { readonly verdict: string } | null;
};

const LIMIT_MS = 300;
const GOOD = 40_000_000;
/** What the link itself holds. */
const LINK_BYTES = 64 * 1024;

test.each(SOCKET_TRANSPORTS)(
  'over %s and without a return path a guest is not stopped on a link that stalls and falls to a hundredth, and stands still within the limit once the link is well',
  async (transport) => {
    const flags = ['--ram', '8M', '--workload', 'rate=20M,span=3M,pattern=seq'];
    const source = await localService(flags);
    const target = await localService([...flags, '--incoming', addressToListen(transport)]);
    const relay = await Relay.to(await target.incomingUri(), { receiveBufferBytes: LINK_BYTES });
    const progress = () => source.get<Progress>('/migrate/progress');
    await setCapabilities(source, { 'return-path': false });
    await source.set({ 'downtime-limit': 0, 'max-bandwidth': GOOD });
    await source.expectRunning();
    await source.start(relay.uri);
    await source.until(({ ram }) => (ram?.['dirty-sync-count'] ?? 0) >= 4);
    await expect.poll(async () => (await progress()).rate, { interval: 20 }).toBeGreaterThan(GOOD / 8);

    relay.rate = 0;
    await expect.poll(async () => (await progress()).rate, { interval: 50 }).toBeLessThan(GOOD / 40);
    // Only now: a switchover that was decided just before the stall cannot know of it.
    await source.set({ 'downtime-limit': LIMIT_MS });
    expect(await source.runState()).toBe('running');

    relay.rate = GOOD / 100;
    const verdict = async () => (await progress()).verdict?.verdict;
    await expect.poll(verdict, { interval: 50 }).toMatch(/stalled|hopeless/);
    const judged = await progress();
    expect(judged.rate).toBeLessThan(GOOD / 20);
    expect(judged['expected-downtime']).toBeGreaterThan(LIMIT_MS);
    expect(await source.runState()).toBe('running');

    relay.rate = Number.POSITIVE_INFINITY;
    expect(await source.ended()).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
    const { downtime } = await source.query();
    expect(downtime).toBeLessThanOrEqual(LIMIT_MS);
    await target.untilStatus('completed');
    await target.expectRunning();
  },
);
