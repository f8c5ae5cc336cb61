// Without a return path no target answers pings: the system of the peer acknowledges the delivered bytes (TCP_INFO,
// or the send queue of a unix socket). This measurement was tested only alone. No migration over a collapsing link
// showed that the verdict, the estimate and the moment of the stop use it. See 11-38-collapsing-link.timed.test.ts
// for the fault.

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
/** The capacity of the link itself. */
const LINK_BYTES = 64 * 1024;

test.each(SOCKET_TRANSPORTS)(
  'over %s without a return path a guest is not stopped while the link stalls and slows down to a hundredth, and its downtime is within the limit after the link recovers',
  async (transport) => {
    const flags = ['--ram', '8M', '--workload', 'rate=20M,span=1M,pattern=seq'];
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
