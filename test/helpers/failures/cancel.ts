// Cancel in every state, by two callers, over any transport: one end, which every door reports.

import { expect } from 'vitest';
import type { AppOptions } from '../../../src/app.ts';
import { eventsOf, type LocalService, localService } from '../guest-service.ts';
import { openPeer } from '../peer.ts';
import { addressToListen, type SocketTransport } from '../transports.ts';

const DEADLINES = { connectMs: 5000, stallMs: 3000 };
/** The deadlines for a peer that does not answer. A target on a busy machine may need longer. */
const HANDOVER_MS = 700;

function source(flags: readonly string[] = [], deadlines: AppOptions['deadlines'] = {}): Promise<LocalService> {
  return localService(['--enable', 'events', ...flags], { deadlines: { ...DEADLINES, ...deadlines } });
}

function awaiting(listen: string, flags: readonly string[] = []): Promise<LocalService> {
  return localService(['--incoming', listen, '--enable', 'events', ...flags]);
}

/** Expects equal answers for two concurrent callers, and no contradictory event after number `before`. */
async function expectCancelled(service: LocalService, id: string, before: number): Promise<void> {
  expect(await Promise.all([service.cancel(), service.cancel()])).toEqual(['cancelled', 'cancelled']);
  expect((await service.query()).status).toBe('cancelled');
  expect(await service.row(id)).toMatchObject({ status: 'cancelled', error: null, guest: 'here' });
  expect(await service.cancel()).toBe('cancelled');
  const ends = eventsOf(service, before).filter((event) => /completed|failed|cancelled/.test(event));
  expect(ends).toEqual(['MIGRATION cancelled']);
  expect(eventsOf(service, before)).toContain('MIGRATION cancelling');
  await service.expectRunning();
}

/** Expects that a later migration succeeds. */
async function expectMigrates(service: LocalService, target: LocalService): Promise<void> {
  await service.set({ 'max-bandwidth': 2 ** 40, 'downtime-limit': 300 });
  const body = { capabilities: [{ capability: 'pause-before-switchover', state: false }] };
  await service.call('/migrate/capabilities', { method: 'PATCH', body });
  expect(await service.migrate(await target.incomingUri())).toMatchObject({ status: 'completed' });
  await target.untilStatus('completed');
  await target.expectRunning();
}

/** A cancel without a migration has no effect, and later migrations work. */
export async function cancelNothing(transport: SocketTransport): Promise<void> {
  const service = await source();
  expect(await service.cancel()).toBe('nothing-to-cancel');
  expect(eventsOf(service)).toEqual([]);
  await expectMigrates(service, await awaiting(addressToListen(transport)));
  expect(await service.cancel()).toBe('already-completed');
  expect(await service.runState()).toBe('postmigrate');
}

/** Brings a migration to the stage of the cancel. @returns its id. */
type Reach = (service: LocalService, target: LocalService, transport: SocketTransport) => Promise<string>;

/** The guest dirties so much that a part of it is always left for the last pass. */
const STAGES: Readonly<Record<string, Reach>> = {
  'pages travel': async (service, target) => {
    await service.set({ 'max-bandwidth': 2_000_000, 'downtime-limit': 0 });
    const id = await service.start(await target.incomingUri());
    await service.untilStatus('active');
    await target.untilStatus('active');
    return id;
  },
  'it waits before the switchover': async (service, target) => {
    await service.enable('pause-before-switchover');
    await service.set({ 'max-bandwidth': 0, 'downtime-limit': 100_000 });
    const id = await service.start(await target.incomingUri());
    await service.untilStatus('pre-switchover');
    return id;
  },
  'the last pages travel': async (service, _target, transport) => {
    const peer = await openPeer(() => {}, { transport });
    await service.set({ 'max-bandwidth': 10_000_000 });
    const id = await service.start(peer.uri);
    await service.untilStatus('pre-switchover');
    peer.socket.pause();
    await service.post('/migrate/continue', { state: 'pre-switchover' });
    await service.untilStatus('device');
    return id;
  },
};

/** In each stage a cancel succeeds, the target fails, and later migrations work. */
export async function cancelInEachStage(transport: SocketTransport): Promise<void> {
  const guest = ['--ram', '32M', '--workload', 'rate=80M,span=24M,pattern=seq'];
  const listen = addressToListen(transport);
  const [service, target] = [await source(guest), await awaiting(listen, guest)];
  const connecting = await service.start('tcp:192.0.2.1:4444');
  // If the host has no route to the address, connecting may fail before the cancel.
  if ((await service.cancel()) === 'cancelled') await expectCancelled(service, connecting, 0);
  else expect(await service.row(connecting)).toMatchObject({ status: 'failed' });
  await service.expectRunning();
  for (const [stage, reach] of Object.entries(STAGES)) {
    const before = service.app.domain.events.bounds().newest;
    await expectCancelled(service, await reach(service, target, transport), before);
    if (stage === 'it waits before the switchover') {
      const stops = eventsOf(service, before).filter((event) => event === 'STOP' || event === 'RESUME');
      expect(stops).toEqual(['STOP', 'RESUME']);
    }
    if (stage === 'the last pages travel') continue;
    expect(await target.ended(), stage).toMatchObject({ status: 'failed', guest: 'there' });
    expect(await target.runState(), stage).toBe('inmigrate');
    await target.post('/migrate/incoming', { uri: listen });
  }
  await service.call('/machine/workload', { method: 'PATCH', body: { rate: 1_000_000 } });
  await expectMigrates(service, target);
}

/** After the target may have the guest a cancel is refused, and does not change the end. */
export async function cancelTooLate(transport: SocketTransport): Promise<void> {
  const service = await source(['--enable', 'return-path'], { handoverMs: HANDOVER_MS });
  const peer = await openPeer(() => {}, { transport });
  const id = await service.start(peer.uri);
  await peer.hasAll();
  expect(await Promise.all([service.cancel(), service.cancel()])).toEqual(['not-cancellable', 'not-cancellable']);
  expect(await service.ended()).toMatchObject({ id, status: 'failed', guest: 'unknown' });
  expect(await service.cancel()).toBe('already-failed');
  expect(await service.runState()).toBe('paused');
}
