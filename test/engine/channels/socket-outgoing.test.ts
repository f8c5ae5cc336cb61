import { describe, expect, test } from 'vitest';
import type { OutgoingChannel } from '../../../src/engine/channels/channel.ts';
import { connectSocket } from '../../../src/engine/channels/socket-outgoing.ts';
import { closedPort, openPeer, type Peer } from '../../helpers/peer.ts';

function portOf({ uri }: Peer): number {
  return Number(uri.split(':').at(-1));
}

function connect(port: number, signal = new AbortController().signal): Promise<OutgoingChannel> {
  return connectSocket({ host: '127.0.0.1', port }, signal);
}

function failureOf(channel: OutgoingChannel): Promise<unknown> {
  return new Promise((resolve) => channel.onFailure(resolve));
}

describe('an outgoing socket', () => {
  test('returns each buffer after it was written, and is finished when the peer closes in order', async () => {
    const peer = await openPeer((socket) => socket.on('end', () => socket.end()));
    const channel = await connect(portOf(peer));
    await Promise.all(
      [1000, 2000].map((bytes) => new Promise<void>((done) => channel.write(Buffer.alloc(bytes), done))),
    );
    await channel.finish();
    expect(peer.received).toBe(3000);
    channel.destroy();
  });

  test('receives data from the peer', async () => {
    const peer = await openPeer((socket) => socket.write('answer'));
    const channel = await connect(portOf(peer));
    const answer = await new Promise<string>((resolve) => channel.onReverse((bytes) => resolve(String(bytes))));
    expect(answer).toBe('answer');
    channel.destroy();
  });

  test.each([
    ['FIN', 'peer_closed'],
    ['RST', 'peer_reset'],
  ] as const)('fails once if the peer closes early with %s', async (how, code) => {
    const peer = await openPeer();
    const channel = await connect(portOf(peer));
    const failure = failureOf(channel);
    await peer.has(0);
    peer.hangUp(how);
    expect(await failure).toMatchObject({ code });
    await expect(channel.finish()).rejects.toMatchObject({ code });
    channel.destroy();
  });

  test('is not finished by a peer that resets', async () => {
    const peer = await openPeer((socket) => socket.on('end', () => socket.resetAndDestroy()));
    const channel = await connect(portOf(peer));
    await expect(channel.finish()).rejects.toMatchObject({ code: 'peer_reset' });
    channel.destroy();
  });

  test('resets the connection when it is destroyed', async () => {
    const peer = await openPeer();
    const channel = await connect(portOf(peer));
    await peer.has(0);
    const error = new Promise((resolve) => peer.socket.once('error', resolve));
    channel.destroy();
    expect(await error).toMatchObject({ code: 'ECONNRESET' });
  });
});

describe('connecting', () => {
  test('fails with a code for each reason', async () => {
    await expect(connect(await closedPort())).rejects.toMatchObject({ code: 'connection_refused' });
    const { signal } = new AbortController();
    await expect(connectSocket({ path: '/nowhere/socket' }, signal)).rejects.toMatchObject({ code: 'no_such_file' });
    const unknown = connectSocket({ host: 'no-such-host.invalid', port: 1 }, signal);
    await expect(unknown).rejects.toMatchObject({ code: 'host_not_found' });
  });

  test('is aborted by a signal', async () => {
    const abort = new AbortController();
    const connecting = connectSocket({ host: '192.0.2.1', port: 4444 }, abort.signal);
    abort.abort(new Error('enough'));
    await expect(connecting).rejects.toMatchObject({
      message: expect.stringMatching(/enough|cannot be reached|refused/),
    });
  });
});
