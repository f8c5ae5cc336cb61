// A source that connected to the port of an HTTP or TLS server reported an invalid return path, a reset, or, with
// return-path off, only a closed connection: without a return path it did not read the answer of the peer.

import http from 'node:http';
import type net from 'node:net';
import tls from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { setCapabilities } from '../helpers/closing-peer.ts';
import { localService } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';
import { shared } from '../helpers/shared.ts';

const source = shared(() => localService(['--ram', '64M', '--workload', 'rate=4M,span=2M,pattern=hot,fill=random']));

async function uriOf(server: net.Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `tcp:127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

/** Answers when bytes have come, in chunks, and closes. */
async function answering(...chunks: readonly Uint8Array[]): Promise<string> {
  const peer = await openPeer(async (socket, { has }) => {
    await has.call(peer, 1);
    for (const chunk of chunks) await new Promise((resolve) => socket.write(chunk, resolve));
    socket.end();
  });
  return peer.uri;
}

const ALERT = Buffer.from([21, 3, 1, 0, 2, 2, 70]);

describe.each([true, false])('with return-path %s', (state) => {
  test.each([
    ['an HTTP server', () => uriOf(http.createServer()), 'peer_speaks_http', /HTTP server answers/],
    [
      'an HTTP server that sends only a page',
      () => answering(Buffer.from('<!DOCTYPE HTML>')),
      'peer_speaks_http',
      /HTTP/,
    ],
    [
      'an HTTP server that answers in small parts',
      () => answering(Buffer.from('H'), Buffer.from('TTP/1.1 400')),
      'peer_speaks_http',
      /HTTP/,
    ],
    [
      'a TLS server that sends an alert',
      () => answering(ALERT.subarray(0, 1), ALERT.subarray(1)),
      'peer_speaks_tls',
      /TLS server/,
    ],
  ] as const)(
    'a source that connects to %s names the protocol, and its guest keeps running',
    async (_, open, code, message) => {
      await setCapabilities(source(), { 'return-path': state });
      const row = await source().migrate(await open());
      expect(row).toMatchObject({
        status: 'failed',
        guest: 'here',
        error: { code, desc: expect.stringMatching(message) },
      });
      await source().expectRunning();
    },
  );
});

test('a source with a return path names TLS as a possible cause when the server closes without an answer', async () => {
  await setCapabilities(source(), { 'return-path': true });
  const row = await source().migrate(await uriOf(tls.createServer()));
  expect(row).toMatchObject({
    status: 'failed',
    guest: 'here',
    error: { desc: expect.stringMatching(/not HTTP or TLS/) },
  });
});
