// What a hostile or broken peer does to an outgoing migration: the guest runs on, unless the peer may have it.

import { describe, expect, test } from 'vitest';
import type { AppOptions } from '../../src/app.ts';
import type { Deadlines } from '../../src/domain/transfer-port.ts';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { localService, type MigrationRow, type Service } from '../helpers/guest-service.ts';
import { closedPort, openPeer, type Peer } from '../helpers/peer.ts';

const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;
const BUSY = ['--ram', '32M', '--workload', 'rate=80M,span=24M,pattern=seq'] as const;

const IMPATIENT: Deadlines = { connectMs: 300, stallMs: 700, handoverMs: 700 };

/** A guest that dirties so much all the time that a migration of it, which may not stop it at all, does not complete. */
async function busyService(options: AppOptions = {}) {
  const source = await localService(BUSY, options);
  await source.set({ 'downtime-limit': 0 });
  await source.expectRunning();
  return source;
}

/** The failed migration changed nothing here, and the next one works. */
async function expectUnharmed(source: Service): Promise<void> {
  await source.expectRunning();
  await source.set({ 'max-bandwidth': 2 ** 40, 'downtime-limit': 100_000 });
  const target = await localService([...INCOMING, ...BUSY]);
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

describe('a target', () => {
  test('that cannot be reached is told by distinct codes in the history, and the guest is untouched', async () => {
    const source = await busyService({ deadlines: IMPATIENT });
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

    // A port of the documentation's network: packets to it go nowhere, or the host says at once that it has no way.
    const row = await source.migrate('tcp:192.0.2.1:4444');
    expect(row.status).toBe('failed');
    expect(['deadline_exceeded', 'host_unreachable', 'connection_refused', 'channel_failed']).toContain(
      row.error?.code,
    );
    await expectUnharmed(source);
  });

  test('that accepts and never reads fails at the deadline for silence, with memory flat', async () => {
    const guest = ['--ram', '64M', '--workload', 'rate=1M,span=1M,pattern=hot,fill=random'];
    const source = await localService(guest, { deadlines: IMPATIENT });
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

/** Brings a migration to a peer into a phase: so slow that none is over before the test acts. */
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

describe('a peer that closes', () => {
  test(`with FIN or RST in ${Object.keys(PHASES).join(', ')} leaves the guest running here`, async () => {
    const source = await busyService();
    for (const how of ['FIN', 'RST'] as const) {
      for (const [phase, reach] of Object.entries(PHASES)) {
        const peer = await openPeer();
        await source.set({ 'max-bandwidth': 8_000_000, 'downtime-limit': 0 });
        await source.enable('pause-before-switchover');
        const id = await source.start(peer.uri);
        await reach(source, peer);
        peer.hangUp(how);

        const row = await source.ended();
        expect(row, `${how} in ${phase}`).toMatchObject({ id, status: 'failed', guest: 'here' });
        expect(['peer_closed', 'peer_reset'], `${how} in ${phase}`).toContain(row.error?.code);
        await source.expectRunning();
      }
    }
    await expectUnharmed(source);
  });
});

describe('at the boundary of the handover', () => {
  function idleSource(): Promise<Service> {
    return localService(['--workload', 'rate=0,span=1M,pattern=hot'], { deadlines: IMPATIENT });
  }

  /** Sends a whole stream to a peer that reads it, then hangs up or keeps silent. */
  async function handOver(source: Service, hasReturnPath: boolean, act: (peer: Peer) => void): Promise<MigrationRow> {
    const peer = await openPeer();
    await setCapabilities(source, { 'return-path': hasReturnPath, 'pause-before-switchover': true });
    await source.start(peer.uri);
    await source.untilStatus('pre-switchover');
    await source.post('/migrate/continue', { state: 'pre-switchover' });
    await peer.hasAll();
    act(peer);
    return source.ended();
  }

  /** The guest stays stopped until an operator lets it go on. */
  async function expectUnknown(source: Service, row: MigrationRow): Promise<void> {
    expect(row).toMatchObject({ status: 'failed', guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
    expect(await source.runState()).toBe('paused');
    const { ticks } = await source.guest();
    expect(await source.cancel()).toBe('already-failed');
    expect((await source.guest()).ticks).toBe(ticks);
    await source.post('/cont');
    await source.expectRunning();
  }

  test('without a return path a reset or a silence leave the outcome unknown, a closing in order is a completion', async () => {
    const source = await idleSource();
    await expectUnknown(source, await handOver(source, false, (peer) => peer.hangUp('RST')));
    const silent = await handOver(source, false, () => {});
    expect(silent.error?.desc).toContain('nothing happened for 700 ms');
    await expectUnknown(source, silent);
    const row = await handOver(source, false, (peer) => peer.hangUp('FIN'));
    expect(row).toMatchObject({ status: 'completed', guest: 'there' });
    expect(await source.runState()).toBe('postmigrate');
  });

  test('with one any closing without a word is unknown too, an error gives the guest back, and a word completes', async () => {
    const source = await idleSource();
    for (const how of ['FIN', 'RST'] as const) {
      await expectUnknown(source, await handOver(source, true, (peer) => peer.hangUp(how)));
    }
    const refused = await handOver(source, true, (peer) => {
      peer.socket.write(encodeReverse({ type: 'shut', value: 1 }));
    });
    expect(refused).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'target_refused' } });
    await source.expectRunning();
    // The word and a closing come together.
    const row = await handOver(source, true, (peer) => {
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
  test('longer than the deadlines ends well with cancel and with continue', async () => {
    const [source, target] = [
      await localService([], { deadlines: DEADLINES }),
      await localService(INCOMING, { deadlines: DEADLINES }),
    ];
    await source.enable('pause-before-switchover');
    await pauseForLong(source, target);
    expect(await source.cancel()).toBe('cancelled');
    await source.expectRunning();
    expect((await target.ended()).status).toBe('failed');

    await target.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
    await pauseForLong(source, target);
    await source.post('/migrate/continue', { state: 'pre-switchover' });
    expect(await source.ended()).toMatchObject({ status: 'completed' });
    await target.untilStatus('completed');
    await target.expectRunning();
  });

  async function pauseForLong(source: Service, target: Service): Promise<void> {
    await source.start(await target.incomingUri());
    await source.untilStatus('pre-switchover');
    const { ticks } = await source.guest();
    const pausedMs = async () => (await source.query())['total-time'];
    await expect.poll(pausedMs, { timeout: 9000, interval: 50 }).toBeGreaterThan(2 * DEADLINES.stallMs);
    expect((await source.guest()).ticks).toBe(ticks);
  }
});
