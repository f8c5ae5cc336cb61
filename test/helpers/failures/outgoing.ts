// Effects of a hostile or broken peer on an outgoing migration over any transport: the guest keeps running, unless
// the peer may have it.

import { expect } from 'vitest';
import type { Deadlines } from '../../../src/domain/ports/migration-session.ts';
import { encodeReverse } from '../../../src/engine/stream/return-path.ts';
import { busyService, expectMigrates, setCapabilities } from '../closing-peer.ts';
import { combinations } from '../combinations.ts';
import { localService, type MigrationRow, type Service } from '../guest-service.ts';
import { type OutgoingPeers, type OutgoingTransport, outgoingPeers } from '../outgoing-peers.ts';
import type { Peer } from '../peer.ts';
import { addressToListen, type SocketTransport } from '../transports.ts';

export const IMPATIENT: Deadlines = { connectMs: 300, stallMs: 700, handoverMs: 700, advanceMs: 60_000 };

/** Memory of this process without the JavaScript heap of the test's own thread, which grows until it is collected. */
function heldBytes(): number {
  const { rss, heapTotal } = process.memoryUsage();
  return rss - heapTotal;
}

/** A peer that accepts and never reads: the migration fails at the deadline for silence, with constant memory. */
export async function silentTarget(transport: OutgoingTransport): Promise<void> {
  const guest = ['--ram', '64M', '--workload', 'rate=1M,span=1M,pattern=hot,fill=random'];
  const peers = await outgoingPeers(transport, 1);
  const source = await localService([...guest, ...peers.flags], { deadlines: IMPATIENT });
  const peer = await peers.open(() => {}, { reads: false });
  await source.set({ 'max-bandwidth': 0 });
  await source.expectRunning();
  const before = heldBytes();
  const row = await source.migrate(peer.uri);
  expect(row).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'deadline_exceeded' } });
  expect(row.error?.desc).toContain('waiting for the peer to take data');
  // A worker thread of its own, staging and socket buffers, but nothing that holds the 64 MiB.
  expect(heldBytes() - before).toBeLessThan(48 * 2 ** 20);
  await source.expectRunning();
}

class Handover {
  readonly source: Service;
  readonly #peers: OutgoingPeers;

  private constructor(source: Service, peers: OutgoingPeers) {
    this.source = source;
    this.#peers = peers;
  }

  static async by(transport: OutgoingTransport): Promise<Handover> {
    const peers = await outgoingPeers(transport, 4);
    const workload = ['--workload', 'rate=0,span=1M,pattern=hot'];
    return new Handover(await localService([...workload, ...peers.flags], { deadlines: IMPATIENT }), peers);
  }

  /** Sends a complete stream to a peer that reads it and then closes or stays silent. */
  async sends(hasReturnPath: boolean, act: (peer: Peer) => void): Promise<MigrationRow> {
    const peer = await this.#peers.open();
    await setCapabilities(this.source, { 'return-path': hasReturnPath, 'pause-before-switchover': true });
    await this.source.start(peer.uri);
    await this.source.untilStatus('pre-switchover');
    await this.source.post('/migrate/continue', { state: 'pre-switchover' });
    await peer.hasAll();
    act(peer);
    return this.source.ended();
  }

  /** Expects that the guest stays stopped until an operator resumes it. */
  async expectUnknown(row: MigrationRow): Promise<void> {
    const { source } = this;
    expect(row).toMatchObject({ status: 'failed', guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
    expect(await source.runState()).toBe('paused');
    const { ticks } = await source.guest();
    expect(await source.cancel()).toBe('already-failed');
    expect((await source.guest()).ticks).toBe(ticks);
    await source.post('/cont');
    await source.expectRunning();
  }
}

/** Only TCP distinguishes a reset from an orderly close. */
export async function handoverWithoutReturnPath(transport: 'tcp' | 'unix' | 'fd'): Promise<void> {
  const handover = await Handover.by(transport);
  if (transport !== 'unix') await handover.expectUnknown(await handover.sends(false, (peer) => peer.hangUp('RST')));
  const silent = await handover.sends(false, () => {});
  expect(silent.error?.desc).toContain('nothing happened for 700 ms');
  await handover.expectUnknown(silent);
  const row = await handover.sends(false, (peer) => peer.hangUp('FIN'));
  expect(row).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
  expect(await handover.source.runState()).toBe('postmigrate');
}

/** A pipe carries no answer: if the peer has read everything, the completion is unconfirmed. */
export async function handoverThroughPipe(): Promise<void> {
  const handover = await Handover.by('pipe');
  const row = await handover.sends(false, () => {});
  expect(row).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
  expect(await handover.source.runState()).toBe('postmigrate');
}

export async function handoverWithReturnPath(transport: 'tcp' | 'unix' | 'fd'): Promise<void> {
  const handover = await Handover.by(transport);
  for (const how of combinations(['FIN', 'RST'], ['RST'])) {
    await handover.expectUnknown(await handover.sends(true, (peer) => peer.hangUp(how)));
  }
  const refused = await handover.sends(true, (peer) => {
    peer.socket.write(encodeReverse({ type: 'shut', value: 1 }));
  });
  expect(refused).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'target_refused' } });
  await handover.source.expectRunning();
  // The confirmation and the close arrive together.
  const row = await handover.sends(true, (peer) => {
    peer.socket.end(encodeReverse({ type: 'shut', value: 0 }));
  });
  expect(row).toMatchObject({ status: 'completed', guest: 'there' });
  expect(await handover.source.runState()).toBe('postmigrate');
}

const PONG = encodeReverse({ type: 'pong', value: 1 });
const WRONG_ANSWERS: Readonly<Record<string, { readonly bytes: Uint8Array; readonly code: string }>> = {
  'full of garbage': { bytes: Buffer.alloc(4096, 0xa5), code: 'return_path_broken' },
  'that asks for pages': { bytes: Buffer.from([0, 3, 0, 12, ...new Array(12).fill(0)]), code: 'return_path_broken' },
  'that floods': { bytes: Buffer.concat(new Array(1000).fill(PONG)), code: 'return_path_broken' },
  'that says too early that all is well': {
    bytes: encodeReverse({ type: 'shut', value: 0 }),
    code: 'return_path_broken',
  },
  'that reports an error': { bytes: encodeReverse({ type: 'shut', value: 22 }), code: 'target_refused' },
};

/** Each kind of wrong answer fails the migration and leaves the guest running. */
export async function wrongReturnPaths(transport: 'tcp' | 'unix' | 'fd'): Promise<void> {
  const cases = Object.entries(WRONG_ANSWERS);
  const peers = await outgoingPeers(transport, cases.length);
  const source = await busyService({}, peers.flags);
  await source.enable('return-path');
  await source.set({ 'max-bandwidth': 4_000_000 });
  for (const [name, { bytes, code }] of cases) {
    const peer = await peers.open((socket) => socket.write(bytes));
    const row = await source.migrate(peer.uri);
    expect(row, name).toMatchObject({ status: 'failed', guest: 'here', error: { code } });
    await source.expectRunning();
  }
  await expectMigrates(source);
}

const DEADLINES = { connectMs: 600, stallMs: 600, handoverMs: 600 };

/** A pause at the switchover that is longer than the deadlines can be ended by cancel and by continue. */
export async function longPause(transport: SocketTransport): Promise<void> {
  const listen = addressToListen(transport);
  const source = await localService([], { deadlines: DEADLINES });
  const target = await localService(['--incoming', listen], { deadlines: DEADLINES });
  await source.enable('pause-before-switchover');
  for (const end of combinations(['cancel', 'continue'], ['continue'])) {
    await pauseForLong(source, target);
    if (end === 'continue') break;
    expect(await source.cancel()).toBe('cancelled');
    await source.expectRunning();
    expect((await target.ended()).status).toBe('failed');
    await target.post('/migrate/incoming', { uri: listen });
  }
  await source.post('/migrate/continue', { state: 'pre-switchover' });
  expect(await source.ended()).toMatchObject({ status: 'completed' });
  await target.untilStatus('completed');
  await target.expectRunning();
}

async function pauseForLong(source: Service, target: Service): Promise<void> {
  await source.start(await target.incomingUri());
  await source.untilStatus('pre-switchover');
  const { ticks } = await source.guest();
  const pausedMs = async () => (await source.query())['total-time'];
  await expect.poll(pausedMs, { timeout: 9000, interval: 50 }).toBeGreaterThan(2 * DEADLINES.stallMs);
  expect((await source.guest()).ticks).toBe(ticks);
}
