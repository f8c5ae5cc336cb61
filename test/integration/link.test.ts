// A migration over a link whose rate changes: it waits, reports correct figures, and completes.

import { expect, test } from 'vitest';
import { localService } from '../helpers/guest-service.ts';
import { Relay } from '../helpers/relay.ts';

// A pass is far larger than the socket buffers, whose bytes count as sent, as in QEMU.
const FLAGS = ['--ram', '32M', '--workload', 'rate=40M,span=16M,pattern=seq'];
type Progress = { readonly rate: number; readonly verdict: { readonly verdict: string } | null };

test('a link that stalls for two seconds and then slows down to a twentieth fails no migration, and rate and verdict follow it', async () => {
  const source = await localService(FLAGS);
  const target = await localService([...FLAGS, '--incoming', 'tcp:127.0.0.1:0']);
  const relay = await Relay.to(await target.incomingUri());
  // It continues with passes, since the downtime limit is 0. The fourth sync is the third one with the same result.
  await source.set({ 'downtime-limit': 0, 'max-bandwidth': 40_000_000 });
  await source.expectRunning();
  await source.start(relay.uri);
  await source.until(({ ram }) => (ram?.['dirty-sync-count'] ?? 0) >= 4);

  relay.rate = 0;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect((await source.query()).status).toBe('active');

  relay.rate = 2_000_000;
  await source.until(async () => {
    const { rate, verdict } = await source.get<Progress>('/migrate/progress');
    return rate < 10_000_000 && ['stalled', 'hopeless'].includes(verdict?.verdict ?? '');
  });
  await source.set({ 'downtime-limit': 300 });
  expect((await source.query()).status).toBe('active');
  // The guest is not stopped on a link in this state.
  expect(await source.runState()).toBe('running');
  relay.rate = Number.POSITIVE_INFINITY;
  await source.set({ 'max-bandwidth': 2 ** 30 });
  expect(await source.ended()).toMatchObject({ status: 'completed', guest: 'there' });
  await target.expectRunning();
});
