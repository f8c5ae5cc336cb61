// What a hostile or broken peer does to an outgoing migration: the guest runs on, unless the peer may have it.

import { describe, expect, test } from 'vitest';
import type { Deadlines } from '../../src/domain/transfer-port.ts';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { localService, type Service } from '../helpers/guest-service.ts';
import { closedPort, openPeer, type Peer } from '../helpers/peer.ts';

const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;

function impatient(deadlines: Partial<Deadlines> = {}, flags: readonly string[] = []) {
  return localService(flags, { deadlines: { connectMs: 1000, stallMs: 700, handoverMs: 700, ...deadlines } });
}

/** A guest that dirties all the time and may not be stopped at all: no migration of it completes. */
async function busyService() {
  const source = await localService(['--workload', 'rate=20M,span=4M,pattern=seq']);
  await source.set({ 'downtime-limit': 0 });
  await source.expectRunning();
  return source;
}

/** The failed migration changed nothing here, and the next one works. */
async function expectUnharmed(source: Service): Promise<void> {
  await source.expectRunning();
  await source.set({ 'max-bandwidth': 2 ** 40, 'downtime-limit': 300 });
  const target = await localService(INCOMING);
  const capabilities = { 'pause-before-switchover': false, 'return-path': false };
  await setCapabilities(source, capabilities);
  expect(await source.migrate(await target.incomingUri())).toMatchObject({ status: 'completed' });
  await target.untilStatus('completed');
  await target.expectRunning();
}

async function setCapabilities(service: Service, states: Readonly<Record<string, boolean>>): Promise<void> {
  const capabilities = Object.entries(states).map(([capability, state]) => ({ capability, state }));
  const reply = await service.call('/migrate/capabilities', { method: 'PATCH', body: { capabilities } });
  expect(reply.status, reply.text).toBe(200);
}

describe('a target that cannot be reached', () => {
  test('is told by distinct codes in the history, and the guest is untouched', async () => {
    const source = await impatient();
    const unreachable = 'tcp:255.255.255.255:4444';
    const uris = [
      `tcp:127.0.0.1:${await closedPort()}`,
      'tcp:no-such-host.invalid:4444',
      'unix:/nowhere/x',
      unreachable,
    ];
    const rows = [];
    for (const uri of uris) rows.push(await source.migrate(uri));

    expect(rows.map(({ status, guest }) => [status, guest])).toEqual(uris.map(() => ['failed', 'here']));
    const codes = rows.map(({ error }) => error?.code);
    expect(codes.slice(0, 3)).toEqual(['connection_refused', 'host_not_found', 'no_such_file']);
    expect(['host_unreachable', 'permission_denied', 'channel_failed']).toContain(codes[3]);
    expect((await source.query())['error-desc']).toContain('255.255.255.255');
    await expectUnharmed(source);
  });

  test('that never accepts fails at the deadline for connecting', async () => {
    const source = await impatient({ connectMs: 300 });
    // A port of the documentation's network: packets to it go nowhere, or the host says at once that it has no way.
    const row = await source.migrate('tcp:192.0.2.1:4444');
    expect(row.status).toBe('failed');
    expect(['deadline_exceeded', 'host_unreachable', 'connection_refused', 'channel_failed']).toContain(
      row.error?.code,
    );
    await source.expectRunning();
  });
});

describe('a peer that accepts and never reads', () => {
  test('fails at the deadline for silence, with memory flat', async () => {
    const source = await impatient({}, ['--ram', '64M', '--workload', 'rate=1M,span=1M,pattern=hot,fill=random']);
    const peer = await openPeer(() => {}, { reads: false });
    await source.set({ 'max-bandwidth': 0 });
    await source.expectRunning();
    const before = process.memoryUsage().rss;
    const row = await source.migrate(peer.uri);
    expect(row).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'deadline_exceeded' } });
    expect(row.error?.desc).toContain('waiting for the peer to take data');
    // A worker thread of its own, staging and socket buffers, but nothing that holds the 64 MiB.
    expect(process.memoryUsage().rss - before).toBeLessThan(48 * 2 ** 20);
    await source.expectRunning();
  });
});

/** Brings a migration to a peer into a phase. */
type Phase = (source: Service, peer: Peer) => Promise<unknown>;
const PHASES: Readonly<Record<string, Phase>> = {
  setup: async (_source, peer) => peer.has(1),
  'first pass': async (_source, peer) => peer.has(100_000),
  iteration: async (source) => source.until(({ ram }) => (ram?.['dirty-sync-count'] ?? 0) >= 2),
  'pre-switchover': async (source) => source.untilStatus('pre-switchover'),
};

describe.each(['FIN', 'RST'] as const)('a peer that closes with %s', (how) => {
  test(`in its ${Object.keys(PHASES).join(', ')} leaves the guest running here`, async () => {
    const source = await busyService();
    for (const [phase, reach] of Object.entries(PHASES)) {
      const peer = await openPeer();
      // So slow that no phase is over before the test acts, unless the switchover is what it waits for.
      const isLast = phase === 'pre-switchover';
      if (isLast) await source.enable('pause-before-switchover');
      await source.set(isLast ? { 'max-bandwidth': 0, 'downtime-limit': 300 } : { 'max-bandwidth': 8_000_000 });
      const id = await source.start(peer.uri);
      await reach(source, peer);
      peer.hangUp(how);

      const row = await source.ended();
      expect(row, phase).toMatchObject({ id, status: 'failed', guest: 'here' });
      expect(['peer_closed', 'peer_reset'], phase).toContain(row.error?.code);
      await source.expectRunning();
    }
    await expectUnharmed(source);
  });

  test('while the last pages travel leaves the guest running here', async () => {
    // 24 MiB are left for the stopped guest's pass, and the peer has stopped reading: more than sockets hold.
    const source = await localService(['--ram', '32M', '--workload', 'rate=80M,span=24M,pattern=seq']);
    const peer = await openPeer();
    await source.enable('pause-before-switchover');
    await source.set({ 'downtime-limit': 100_000, 'max-bandwidth': 10_000_000 });
    await source.expectRunning();
    await source.start(peer.uri);
    await source.untilStatus('pre-switchover');
    peer.socket.pause();
    await source.post('/migrate/continue', { state: 'pre-switchover' });
    await source.untilStatus('device');
    peer.hangUp(how);
    expect(await source.ended()).toMatchObject({ status: 'failed', guest: 'here' });
    await source.expectRunning();
  });
});

describe('at the boundary of the handover', () => {
  /** Sends a whole stream to a peer that reads it, then hangs up or keeps silent. */
  async function handOver(capabilities: readonly string[], act: (peer: Peer) => void) {
    const source = await impatient({}, ['--workload', 'rate=0,span=1M,pattern=hot']);
    const peer = await openPeer();
    await source.enable(...capabilities, 'pause-before-switchover');
    await source.start(peer.uri);
    await source.untilStatus('pre-switchover');
    await source.post('/migrate/continue', { state: 'pre-switchover' });
    await peer.hasAll();
    act(peer);
    return { source, row: await source.ended() };
  }

  async function expectUnknown({ source, row }: Awaited<ReturnType<typeof handOver>>): Promise<void> {
    expect(row).toMatchObject({ status: 'failed', guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
    expect(await source.runState()).toBe('paused');
    const { ticks } = await source.guest();
    expect(await source.cancel()).toBe('already-failed');
    expect((await source.guest()).ticks).toBe(ticks);
    await source.post('/cont');
    await source.expectRunning();
  }

  test('a reset leaves the outcome unknown, and the guest stopped until an operator lets it go on', async () => {
    await expectUnknown(await handOver([], (peer) => peer.hangUp('RST')));
  });

  test('a silence leaves the outcome unknown', async () => {
    const ended = await handOver([], () => {});
    await expectUnknown(ended);
    expect(ended.row.error?.desc).toContain('nothing happened for 700 ms');
  });

  test('a closing in order is the word of a target that has no return path', async () => {
    const { source, row } = await handOver([], (peer) => peer.hangUp('FIN'));
    expect(row).toMatchObject({ status: 'completed', guest: 'there' });
    expect(await source.runState()).toBe('postmigrate');
  });

  test.each(['FIN', 'RST'] as const)('with a return path %s without a word is unknown too', async (how) => {
    await expectUnknown(await handOver(['return-path'], (peer) => peer.hangUp(how)));
  });

  test('an error on the return path gives the guest back', async () => {
    const { source, row } = await handOver(['return-path'], (peer) => {
      peer.socket.write(encodeReverse({ type: 'shut', value: 1 }));
    });
    expect(row).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'target_refused' } });
    await source.expectRunning();
  });

  test('a word and a closing that come together are a completion', async () => {
    const { source, row } = await handOver(['return-path'], (peer) => {
      peer.socket.end(encodeReverse({ type: 'shut', value: 0 }));
    });
    expect(row).toMatchObject({ status: 'completed', guest: 'there' });
    expect(await source.runState()).toBe('postmigrate');
  });
});

describe('a return path', () => {
  const pong = encodeReverse({ type: 'pong', value: 1 });
  const cases: Readonly<Record<string, { readonly bytes: Uint8Array; readonly code: string }>> = {
    'full of garbage': { bytes: Buffer.alloc(4096, 0xa5), code: 'return_path_broken' },
    'that asks for pages': { bytes: Buffer.from([0, 3, 0, 12, ...new Array(12).fill(0)]), code: 'return_path_broken' },
    'that floods': { bytes: Buffer.concat(new Array(1000).fill(pong)), code: 'return_path_broken' },
    'that says too early that all is well': {
      bytes: encodeReverse({ type: 'shut', value: 0 }),
      code: 'return_path_broken',
    },
    'that reports an error': { bytes: encodeReverse({ type: 'shut', value: 22 }), code: 'target_refused' },
  };

  test(`${Object.keys(cases).join(', ')} fails the migration and leaves the guest running`, async () => {
    const source = await busyService();
    await source.enable('return-path');
    await source.set({ 'max-bandwidth': 4_000_000 });
    for (const [what, { bytes, code }] of Object.entries(cases)) {
      const peer = await openPeer((socket) => socket.write(bytes));
      const row = await source.migrate(peer.uri);
      expect(row, what).toMatchObject({ status: 'failed', guest: 'here', error: { code } });
      await source.expectRunning();
    }
    await expectUnharmed(source);
  });
});

const DEADLINES = { connectMs: 600, stallMs: 600, handoverMs: 600 };

describe('a pause at the switchover', () => {
  test.each(['continue', 'cancel'] as const)('longer than the deadlines ends well with %s', async (how) => {
    const [source, target] = [
      await localService([], { deadlines: DEADLINES }),
      await localService(INCOMING, { deadlines: DEADLINES }),
    ];
    await source.enable('pause-before-switchover');
    await source.start(await target.incomingUri());
    await source.untilStatus('pre-switchover');
    const { ticks } = await source.guest();
    const pausedMs = async () => (await source.query())['total-time'];
    await expect.poll(pausedMs, { timeout: 9000, interval: 50 }).toBeGreaterThan(3 * DEADLINES.stallMs);
    expect((await source.guest()).ticks).toBe(ticks);
    if (how === 'cancel') {
      expect(await source.cancel()).toBe('cancelled');
      await source.expectRunning();
      expect((await target.ended()).status).toBe('failed');
    } else {
      await source.post('/migrate/continue', { state: 'pre-switchover' });
      expect(await source.ended()).toMatchObject({ status: 'completed' });
      await target.untilStatus('completed');
      await target.expectRunning();
    }
  });
});
