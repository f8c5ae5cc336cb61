// A service that is stopped (SIGSTOP, a laptop that sleeps) for longer than each of its deadlines, and continued
// (SIGCONT), reads the waiting data before it evaluates the deadlines.

import { describe, expect, test } from 'vitest';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { setCapabilities } from '../helpers/closing-peer.ts';
import { type Spawned, spawnService } from '../helpers/guest-service.ts';
import { openPeer, type Peer } from '../helpers/peer.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';
import { addressToListen, connectTo, SOCKET_TRANSPORTS, type SocketTransport } from '../helpers/transports.ts';

const DEADLINES = { connectMs: 5000, stallMs: 1000, handoverMs: 1000, advanceMs: 60_000 };
const STOPPED_MS = 3000;
const SMALL = ['--ram', '2M', '--workload', 'rate=0,span=64k,pattern=hot'] as const;

/** Stops the service for longer than its deadlines; `meanwhile` is executed in that time. */
async function stopped(service: Spawned, meanwhile: () => void): Promise<void> {
  service.process.kill('SIGSTOP');
  meanwhile();
  await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
  service.process.kill('SIGCONT');
}

/** Migrates the guest to a peer and stops the source directly after the handover. @returns the row of the migration. */
async function handedOver(source: Spawned, transport: SocketTransport, answer: (peer: Peer) => void) {
  const peer = await openPeer(() => {}, { transport });
  await source.start(peer.uri);
  await peer.hasAll();
  await stopped(source, () => answer(peer));
  return source.ended();
}

describe.each(SOCKET_TRANSPORTS)('over %s', (transport) => {
  test('a source that was stopped directly after the handover reads the waiting answer', async () => {
    const source = await spawnService(temporaryDirectory(), SMALL, { deadlines: DEADLINES });
    const shut = (value: number) => encodeReverse({ type: 'shut', value });
    const refused = await handedOver(source, transport, (peer) => peer.socket.write(shut(1)));
    expect(refused).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'target_refused' } });
    await source.expectRunning();
    for (const end of [false, true]) {
      const answer = (peer: Peer): void => {
        peer.socket.write(shut(0));
        if (end) peer.hangUp('FIN');
      };
      expect(await handedOver(source, transport, answer)).toMatchObject({ status: 'completed', guest: 'there' });
      await source.post('/cont');
    }
    expect(await handedOver(source, transport, () => {})).toMatchObject({ status: 'failed', guest: 'unknown' });
    expect(await source.runState()).toBe('paused');
    await source.post('/cont');
    await setCapabilities(source, { 'return-path': false });
    const unconfirmed = await handedOver(source, transport, (peer) => peer.hangUp('FIN'));
    expect(unconfirmed).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
  });

  test('a source and a target that were stopped during a migration continue it', async () => {
    const busy = [
      '--ram',
      '64M',
      '--workload',
      'rate=1M,span=1M,pattern=hot,fill=random',
      '--set',
      'max-bandwidth=16000000',
    ];
    const source = await spawnService(temporaryDirectory(), busy, { deadlines: { ...DEADLINES, stallMs: 20_000 } });
    const target = await spawnService(temporaryDirectory(), [...busy, '--incoming', addressToListen(transport)], {
      deadlines: DEADLINES,
    });
    await source.start(await target.incomingUri());
    const sent = async (bytes: number) => source.until(({ ram }) => (ram?.transferred ?? 0) > bytes);
    await sent(8_000_000);
    await stopped(target, () => {});
    await sent(24_000_000);
    expect(await source.ended()).toMatchObject({ status: 'completed', guest: 'there' });
    await target.untilStatus('completed');
    await target.expectRunning();
  });

  test('a listener that was stopped after half a header accepts the sender when the rest arrives', async () => {
    const image = ['--machine', 'image', '--incoming', addressToListen(transport)];
    const target = await spawnService(temporaryDirectory(), image, { deadlines: DEADLINES });
    const { stream } = readStreamFixture('isapc-10.0');
    const sender = await connectTo(await target.incomingUri());
    sender.write(stream.subarray(0, 5));
    expect((await target.query()).status).toBe('setup');
    await stopped(target, () => sender.end(stream.subarray(5)));
    expect(await target.ended()).toMatchObject({ status: 'completed', guest: 'here' });
  });
});
