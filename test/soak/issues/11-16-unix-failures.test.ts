// `net.Socket.resetAndDestroy()` throws for every handle except TCP ("This handle type cannot be sent"). A target and
// a source called it when a migration failed, so over `unix:` the exception ended the transfer worker. Each failure
// became `engine_crashed`, and a probe that connected and closed ended the listener. The failure tests used TCP only.
// test/soak/failures.test.ts has all of them over every transport.

import { describe, expect, test } from 'vitest';
import { encodeReverse } from '../../../src/engine/stream/return-path.ts';
import { busyService, setCapabilities } from '../../helpers/closing-peer.ts';
import type { Service } from '../../helpers/guest-service.ts';
import { openPeer } from '../../helpers/peer.ts';
import { readStreamFixture } from '../../helpers/qemu/fixtures.ts';
import { startService } from '../../helpers/service.ts';
import { addressToListen, connectTo } from '../../helpers/transports.ts';

const STREAM = readStreamFixture('isapc-10.0').stream;

describe('a target over unix', () => {
  test('names the fault of each stream, and accepts a valid one after that', async () => {
    const listen = { uri: addressToListen('unix'), 'exit-on-error': false };
    const service = await startService(['--machine', 'image', '--incoming', listen.uri], {
      deadlines: { stallMs: 200 },
    });
    (await connectTo(await service.listeningUri())).end();
    expect((await service.migration()).status).toBe('setup');

    const streams: readonly (readonly [Uint8Array, string])[] = [
      [Buffer.from('GET /migrate HTTP/1.1\r\nHost: ferry\r\n\r\n'), 'peer_speaks_http'],
      [Buffer.from('16030100f8010000f40303', 'hex'), 'peer_speaks_tls'],
      [Buffer.alloc(1024, 0xa5), 'not_a_migration_stream'],
      [Buffer.from('5145564d00000002', 'hex'), 'stream_version_unknown'],
      [STREAM.subarray(0, 5000), 'stream_truncated'],
    ];
    for (const [bytes, code] of streams) {
      (await connectTo(await service.listeningUri())).end(bytes);
      expect((await service.waitForEnd()).status).toBe('failed');
      expect(await service.lastErrorCode()).toBe(code);
      await service.post('/migrate/incoming', listen);
    }
    (await connectTo(await service.listeningUri())).write(STREAM.subarray(0, 5000));
    await service.waitForEnd();
    expect(await service.lastErrorCode()).toBe('deadline_exceeded');

    await service.post('/migrate/incoming', listen);
    (await connectTo(await service.listeningUri())).end(STREAM);
    expect((await service.waitForEnd()).status).toBe('completed');
  });
});

describe('a source over unix', () => {
  /** Starts a migration that cannot complete. Resolves with its peer when bytes have arrived. */
  async function begin(source: Service, reads = true) {
    const peer = await openPeer(() => {}, { transport: 'unix', reads });
    await source.start(peer.uri);
    await peer.has(reads ? 20_000 : 0);
    return peer;
  }

  test('keeps its guest and names the failure in each case', async () => {
    const source = await busyService({ deadlines: { connectMs: 2000, stallMs: 300, handoverMs: 300 } });
    await setCapabilities(source, { 'return-path': true });
    await source.set({ 'max-bandwidth': 8_000_000 });
    const failures: readonly (readonly [(peer: Awaited<ReturnType<typeof begin>>) => void, RegExp])[] = [
      [(peer) => peer.hangUp('FIN'), /^peer_(closed|reset)$/],
      [(peer) => peer.hangUp('RST'), /^peer_(closed|reset)$/],
      [(peer) => peer.socket.write(encodeReverse({ type: 'shut', value: 1 })), /^target_refused$/],
      [(peer) => peer.socket.write(Buffer.alloc(100, 0xa5)), /^return_path_broken$/],
    ];
    for (const [fail, code] of failures) {
      fail(await begin(source));
      const row = await source.ended();
      expect(row).toMatchObject({ status: 'failed', guest: 'here' });
      expect(row.error?.code).toMatch(code);
    }
    await source.set({ 'max-bandwidth': 0 });
    await begin(source, false);
    expect((await source.ended()).error?.code).toBe('deadline_exceeded');
    await source.expectRunning();
  });

  test('closes the connection at a cancel', async () => {
    const source = await busyService();
    await source.set({ 'max-bandwidth': 8_000_000 });
    const peer = await begin(source);
    const closed = new Promise((resolve) => peer.socket.once('close', resolve));
    expect(await source.cancel()).toBe('cancelled');
    peer.socket.end();
    await closed;
    expect(await source.ended()).toMatchObject({ status: 'cancelled', guest: 'here' });
    await source.expectRunning();
  });
});
