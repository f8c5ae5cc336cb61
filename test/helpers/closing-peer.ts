// A peer that closes the connection in any phase of a migration of a busy guest.

import { expect } from 'vitest';
import type { AppOptions } from '../../src/app.ts';
import { localService, type Service } from './guest-service.ts';
import { type OutgoingTransport, outgoingPeers } from './outgoing-peers.ts';
import type { Peer } from './peer.ts';

const BUSY = ['--ram', '32M', '--workload', 'rate=80M,span=24M,pattern=seq'] as const;

/** A guest that dirties so much that a migration without a downtime limit above 0 does not complete. */
export async function busyService(options: AppOptions = {}, flags: readonly string[] = []) {
  const source = await localService([...BUSY, ...flags], options);
  await source.set({ 'downtime-limit': 0 });
  await source.expectRunning();
  return source;
}

/** Expects that the failed migration changed nothing, and that the next one succeeds. */
export async function expectMigrates(source: Service): Promise<void> {
  await source.expectRunning();
  await source.set({ 'max-bandwidth': 2 ** 40, 'downtime-limit': 100_000 });
  const target = await localService(['--incoming', 'tcp:127.0.0.1:0', ...BUSY]);
  const capabilities = { 'pause-before-switchover': false, 'return-path': false };
  await setCapabilities(source, capabilities);
  expect(await source.migrate(await target.incomingUri())).toMatchObject({ status: 'completed' });
  await target.untilStatus('completed');
  await target.expectRunning();
}

export async function setCapabilities(service: Service, states: Readonly<Record<string, boolean>>): Promise<void> {
  const capabilities = Object.entries(states).map(([capability, state]) => ({ capability, state }));
  const reply = await service.call('/migrate/capabilities', { method: 'PATCH', body: { capabilities } });
  expect(reply.status, reply.text).toBe(200);
}

/** Brings a migration to a peer into a phase, slowly enough that the phase lasts until the test acts. */
type Phase = (source: Service, peer: Peer) => Promise<unknown>;
const PHASES: Readonly<Record<string, Phase>> = {
  setup: async (_source, peer) => peer.has(1),
  'first pass': async (_source, peer) => peer.has(100_000),
  iteration: async (source) => {
    await source.set({ 'max-bandwidth': 0 });
    await source.until(({ ram }) => (ram?.['dirty-sync-count'] ?? 0) >= 2);
  },
  'pre-switchover': stopBeforeSwitchover,
  // 24 MiB are left for the stopped guest's pass, and the peer has stopped reading: more than sockets hold.
  'last pass': async (source, peer) => {
    await stopBeforeSwitchover(source);
    peer.socket.pause();
    await source.post('/migrate/continue', { state: 'pre-switchover' });
    await source.untilStatus('device');
  },
};

async function stopBeforeSwitchover(source: Service): Promise<void> {
  await source.set({ 'max-bandwidth': 10_000_000, 'downtime-limit': 100_000 });
  await source.untilStatus('pre-switchover');
}

/** `silence`: the connection stays open, and the peer stops reading. */
type Closing = { readonly how: 'FIN' | 'RST' | 'silence'; readonly phase: string };

/** A close in every phase before the handover. */
export function closingsWith(how: Closing['how']): Closing[] {
  return Object.keys(PHASES).map((phase) => ({ how, phase }));
}

/** What sockets hold is soon full; a source that waits for the operator is told to go on. */
async function fallSilent(source: Service, peer: Peer, phase: string): Promise<void> {
  peer.socket.pause();
  await source.set({ 'max-bandwidth': 0 });
  if (phase === 'pre-switchover') await source.post('/migrate/continue', { state: 'pre-switchover' });
}

/** Migrates one guest several times. Each time the peer closes the connection, and the guest keeps running and can be migrated. */
export async function closeInPhases(
  closings: readonly Closing[],
  transport: OutgoingTransport = 'tcp',
  { hasReturnPath = true }: { readonly hasReturnPath?: boolean } = {},
): Promise<void> {
  const peers = await outgoingPeers(transport, closings.length);
  const options = closings.some(({ how }) => how === 'silence') ? { deadlines: { stallMs: 700 } } : {};
  const source = await busyService(options, peers.flags);
  for (const { how, phase } of closings) {
    const peer = await peers.open();
    await source.set({ 'max-bandwidth': 8_000_000, 'downtime-limit': 0 });
    await setCapabilities(source, { 'pause-before-switchover': true, 'return-path': hasReturnPath });
    const id = await source.start(peer.uri);
    await PHASES[phase]!(source, peer);
    if (how === 'silence') await fallSilent(source, peer, phase);
    else peer.hangUp(how);

    const row = await source.ended();
    expect(row, `${how} in ${phase}`).toMatchObject({ id, status: 'failed', guest: 'here' });
    const codes = how === 'silence' ? ['deadline_exceeded'] : ['peer_closed', 'peer_reset'];
    expect(codes, `${how} in ${phase}`).toContain(row.error?.code);
    await source.expectRunning();
  }
  await expectMigrates(source);
}
