// Cancel in every state, by two callers, and racing with the completion: one end, and it is the one that is told.

import { expect, test } from 'vitest';
import { type CancelRaces, runRaces } from '../helpers/cancel-race.ts';
import { eventsOf, localService, type Service } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';

const INCOMING = ['--incoming', 'tcp:127.0.0.1:0', '--enable', 'events'] as const;
const DEADLINES = { connectMs: 5000, stallMs: 3000, handoverMs: 700 };

function source(flags: readonly string[] = []) {
  return localService(['--enable', 'events', ...flags], { deadlines: DEADLINES });
}

/** Two callers at once are told the same, and nothing says anything else. */
async function expectCancelled(service: Awaited<ReturnType<typeof source>>, id: string): Promise<void> {
  expect(await Promise.all([service.cancel(), service.cancel()])).toEqual(['cancelled', 'cancelled']);
  expect((await service.query()).status).toBe('cancelled');
  expect(await service.row(id)).toMatchObject({ status: 'cancelled', error: null, guest: 'here' });
  expect(await service.cancel()).toBe('cancelled');
  const ends = eventsOf(service).filter((event) => /completed|failed|cancelled/.test(event));
  expect(ends).toEqual(['MIGRATION cancelled']);
  expect(eventsOf(service)).toContain('MIGRATION cancelling');
  await service.expectRunning();
}

/** A later migration works. */
async function expectMigrates(service: Service, flags: readonly string[] = []): Promise<void> {
  const target = await localService([...INCOMING, ...flags]);
  await service.set({ 'max-bandwidth': 2 ** 40, 'downtime-limit': 300 });
  const body = { capabilities: [{ capability: 'pause-before-switchover', state: false }] };
  await service.call('/migrate/capabilities', { method: 'PATCH', body });
  expect(await service.migrate(await target.incomingUri())).toMatchObject({ status: 'completed' });
  await target.untilStatus('completed');
  await target.expectRunning();
}

test('with nothing to cancel nothing happens, and later migrations work', async () => {
  const service = await source();
  expect(await service.cancel()).toBe('nothing-to-cancel');
  expect(eventsOf(service)).toEqual([]);
  await expectMigrates(service);
  expect(await service.cancel()).toBe('already-completed');
  expect(await service.runState()).toBe('postmigrate');
});

test('while it connects a cancel wins', async () => {
  const service = await source();
  const id = await service.start('tcp:192.0.2.1:4444');
  // Where the host has no way there at all, connecting has failed before the cancel came.
  const outcome = await service.cancel();
  if (outcome === 'already-failed') return expect(await service.row(id)).toMatchObject({ status: 'failed' });
  expect(outcome).toBe('cancelled');
  await expectCancelled(service, id);
  await expectMigrates(service);
});

test('while pages travel a cancel wins, and the target fails', async () => {
  const service = await source(['--workload', 'rate=20M,span=4M,pattern=seq']);
  const target = await localService(INCOMING);
  await service.set({ 'max-bandwidth': 2_000_000, 'downtime-limit': 0 });
  await service.expectRunning();
  const id = await service.start(await target.incomingUri());
  await service.untilStatus('active');
  await target.untilStatus('active');
  await expectCancelled(service, id);
  expect(await target.ended()).toMatchObject({ status: 'failed', guest: 'there' });
  expect(await target.runState()).toBe('inmigrate');
  await expectMigrates(service);
});

test('while it waits before the switchover a cancel wins', async () => {
  const service = await source(['--enable', 'pause-before-switchover']);
  const target = await localService(INCOMING);
  const id = await service.start(await target.incomingUri());
  await service.untilStatus('pre-switchover');
  await expectCancelled(service, id);
  expect(eventsOf(service).filter((event) => event === 'STOP' || event === 'RESUME')).toEqual(['STOP', 'RESUME']);
  expect(await target.ended()).toMatchObject({ status: 'failed' });
  await expectMigrates(service);
});

test('while the last pages travel a cancel wins', async () => {
  const service = await source(['--ram', '32M', '--workload', 'rate=80M,span=24M,pattern=seq']);
  await service.enable('pause-before-switchover');
  const peer = await openPeer();
  await service.set({ 'downtime-limit': 100_000, 'max-bandwidth': 10_000_000 });
  await service.expectRunning();
  const id = await service.start(peer.uri);
  await service.untilStatus('pre-switchover');
  peer.socket.pause();
  await service.post('/migrate/continue', { state: 'pre-switchover' });
  await service.untilStatus('device');
  await expectCancelled(service, id);
  await service.call('/machine/workload', { method: 'PATCH', body: { rate: 1_000_000 } });
  await expectMigrates(service, ['--ram', '32M']);
});

test('once the target may have the guest a cancel is refused, and does not change the end', async () => {
  const service = await source(['--enable', 'return-path']);
  const peer = await openPeer();
  const id = await service.start(peer.uri);
  await peer.hasAll();
  expect(await Promise.all([service.cancel(), service.cancel()])).toEqual(['not-cancellable', 'not-cancellable']);
  expect(await service.ended()).toMatchObject({ id, status: 'failed', guest: 'unknown' });
  expect(await service.cancel()).toBe('already-failed');
  expect(await service.runState()).toBe('paused');
});

test('cancels that race with the completion of real migrations have exactly one end', async () => {
  const races = await runRaces(10, 60);
  expectBothEndsWon(races);
});

/** If one side always won, nothing raced. */
function expectBothEndsWon({ cancelled, completed }: CancelRaces): void {
  expect(cancelled).toBeGreaterThan(0);
  expect(completed).toBeGreaterThan(0);
}
