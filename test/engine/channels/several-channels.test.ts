import net from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { TransferError } from '../../../src/domain/ports/migration-session.ts';
import type { IncomingChannel } from '../../../src/engine/channels/channel.ts';
import {
  type ChannelKind,
  MAIN_CHANNEL,
  SocketListener,
  type WantedChannels,
} from '../../../src/engine/channels/socket-listener.ts';
import { encodeHeader } from '../../../src/engine/stream/configuration.ts';

const HEADER = Buffer.from(encodeHeader());
/** A kind of the test: its channels begin with the magic of multifd and a version. */
const FURTHER_HEADER = Buffer.from('1122334400000001', 'hex');
const FURTHER: ChannelKind = {
  recognise: (bytes) => {
    const seen = FURTHER_HEADER.subarray(0, bytes.length);
    if (!seen.equals(bytes.subarray(0, FURTHER_HEADER.length)))
      return { code: 'channel_failed', message: 'not further' };
    return bytes.length < FURTHER_HEADER.length ? 'unfinished' : 'yes';
  },
};
const MAIN_AND_TWO = [
  { kind: MAIN_CHANNEL, count: 1 },
  { kind: FURTHER, count: 2 },
];
const SENDER = '127.0.0.1';
const OTHER_SENDER = '127.0.0.2';

/** The channels of a session, each by the byte that its sender puts behind the header. */
class Session {
  readonly tags: string[] = [];
  readonly errors: TransferError['code'][] = [];
  isComplete = false;
  readonly #changed = new Set<() => void>();

  constructor(listener: SocketListener, wanted: readonly WantedChannels[]) {
    listener.take({
      wanted,
      accepted: (channel, kind) => this.#read(channel, kind),
      complete: () => this.#change(() => (this.isComplete = true)),
      rejected: ({ code }) => this.#change(() => this.errors.push(code)),
      divided: ({ code }) => this.#change(() => this.errors.push(code)),
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed.add(resolve));
  }

  #read(channel: IncomingChannel, kind: ChannelKind): void {
    onTestFinished(() => channel.reset());
    const into = new Uint8Array(new SharedArrayBuffer(64));
    const found: number[] = [];
    const headerBytes = kind === MAIN_CHANNEL ? HEADER.length : FURTHER_HEADER.length;
    channel.onEnd(() => {});
    channel.read(
      () => into,
      (count) => {
        found.push(...into.subarray(0, count));
        const [tag] = found.slice(headerBytes);
        if (tag === undefined) return;
        const name = kind === MAIN_CHANNEL ? 'main' : 'further';
        this.#change(() => this.tags.push(`${name} ${String.fromCharCode(tag)}`));
      },
    );
  }

  #change(work: () => unknown): void {
    work();
    for (const wake of this.#changed) wake();
    this.#changed.clear();
  }
}

async function listen(headerMs = 60_000): Promise<{ readonly listener: SocketListener; readonly port: number }> {
  const listener = new SocketListener('tcp', headerMs);
  onTestFinished(() => listener.close());
  const bound = await listener.listen({ transport: 'tcp', host: '0.0.0.0', port: 0 });
  return { listener, port: bound.transport === 'tcp' ? bound.port : 0 };
}

/** Connects from `localAddress`; resolves when the bytes have left. */
async function connect(port: number, bytes: Uint8Array, localAddress = SENDER): Promise<net.Socket> {
  const socket = net.connect({ host: SENDER, port, localAddress });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  if (bytes.length > 0) await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  return socket;
}

const main = (tag: string) => Buffer.concat([HEADER, Buffer.from(tag)]);
const further = (tag: string) => Buffer.concat([FURTHER_HEADER, Buffer.from(tag)]);
const closed = (socket: net.Socket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : socket.resume().once('close', () => resolve())));

describe('a listener', () => {
  test('gives a session its three channels, and no unrelated connection between them', async () => {
    const { listener, port } = await listen();
    const session = new Session(listener, MAIN_AND_TWO);
    await connect(port, Buffer.alloc(0));
    await connect(port, further('a'));
    await closed(await connect(port, Buffer.from('GET / HTTP/1.1\r\n\r\n')));
    await session.until(() => session.errors.length > 0);
    expect(session.tags).toEqual([]);

    await connect(port, main('m'));
    await session.until(() => session.tags.length === 2);
    expect([session.tags, session.isComplete]).toEqual([['main m', 'further a'], false]);

    await connect(port, further('x'), OTHER_SENDER);
    await connect(port, HEADER.subarray(0, 3));
    await closed(await connect(port, Buffer.alloc(32, 0xa5)));
    await connect(port, further('b'));
    await session.until(() => session.tags.length === 3);
    expect([session.tags[2], session.isComplete, session.errors]).toEqual(['further b', true, ['peer_speaks_http']]);

    // The channels of the next sender have waited, and are given to the next session.
    await connect(port, main('n'), OTHER_SENDER);
    await connect(port, further('y'), OTHER_SENDER);
    const next = new Session(listener, MAIN_AND_TWO);
    await next.until(() => next.tags.length === 3);
    expect(next.isComplete).toBe(true);
    expect(next.tags.toSorted()).toEqual(['further x', 'further y', 'main n']);
  });

  test('gives a session several channels of one kind, and keeps the fourth for the next session', async () => {
    const { listener, port } = await listen();
    const session = new Session(listener, [{ kind: MAIN_CHANNEL, count: 3 }]);
    for (const tag of ['1', '2', '3']) {
      await connect(port, main(tag));
      await session.until(() => session.tags.includes(`main ${tag}`));
    }
    expect(session.isComplete).toBe(true);
    await connect(port, main('4'));
    const next = new Session(listener, [{ kind: MAIN_CHANNEL, count: 1 }]);
    await next.until(() => next.tags.length === 1);
    expect([next.tags, session.tags]).toEqual([['main 4'], ['main 1', 'main 2', 'main 3']]);
  });

  test('closes a connection of unknown kind in time while channels of its session are missing', async () => {
    const { listener, port } = await listen(300);
    const session = new Session(listener, MAIN_AND_TWO);
    await connect(port, main('m'));
    await session.until(() => session.tags.length === 1);
    await closed(await connect(port, FURTHER_HEADER.subarray(0, 5)));
    await connect(port, further('a'));
    await connect(port, further('b'));
    await session.until(() => session.isComplete && session.tags.length === 3);
    expect([session.tags.slice(1).toSorted(), session.errors]).toEqual([['further a', 'further b'], []]);
  });

  test('closes the oldest of more than 16 connections of unknown kind while channels are missing', async () => {
    const { listener, port } = await listen();
    const session = new Session(listener, MAIN_AND_TWO);
    await connect(port, main('m'));
    await session.until(() => session.tags.length === 1);
    const oldest = await connect(port, HEADER.subarray(0, 2));
    const dropped = closed(oldest);
    for (let count = 0; count < 16; count += 1) await connect(port, FURTHER_HEADER.subarray(0, 2));
    await dropped;
    await connect(port, further('a'));
    await connect(port, further('b'));
    await session.until(() => session.isComplete);
  });

  test('refuses a sender whose channels have a kind that the session does not use', async () => {
    const { listener, port } = await listen();
    const session = new Session(listener, [{ kind: MAIN_CHANNEL, count: 1 }]);
    await connect(port, main('m'));
    await session.until(() => session.isComplete);
    await closed(await connect(port, further('a'), OTHER_SENDER));
    await closed(await connect(port, further('b')));
    await session.until(() => session.errors.length > 0);
    expect(session.errors).toEqual(['capability_differs']);
  });
});
