// What a hostile or broken peer does to an outgoing migration: the guest runs on, unless the peer may have it;
// test/soak/migration.test.ts has closings of either kind in all phases.

import { describe, expect, test } from 'vitest';
import type { Deadlines } from '../../src/domain/transfer-port.ts';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { busyService, closeInPhases, closingsWith, expectMigrates, setCapabilities } from '../helpers/closing-peer.ts';
import { localService, type MigrationRow, type Service } from '../helpers/guest-service.ts';
import { closedPort, openPeer, type Peer } from '../helpers/peer.ts';

const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;
const IMPATIENT: Deadlines = { connectMs: 300, stallMs: 700, handoverMs: 700, advanceMs: 60_000 };

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
    await expectMigrates(source);
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

describe('a peer that closes', () => {
  test('with FIN in any phase, or with RST in the first pass and in the last, leaves the guest running here', async () => {
    const resets = closingsWith('RST').filter(({ phase }) => ['first pass', 'last pass'].includes(phase));
    expect(resets).toHaveLength(2);
    await closeInPhases([...closingsWith('FIN'), ...resets]);
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

  test('without a return path a reset or a silence leave the outcome unknown, a closing in order is a completion that nobody confirmed', async () => {
    const source = await idleSource();
    await expectUnknown(source, await handOver(source, false, (peer) => peer.hangUp('RST')));
    const silent = await handOver(source, false, () => {});
    expect(silent.error?.desc).toContain('nothing happened for 700 ms');
    await expectUnknown(source, silent);
    const row = await handOver(source, false, (peer) => peer.hangUp('FIN'));
    expect(row).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
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
    await expectMigrates(source);
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
