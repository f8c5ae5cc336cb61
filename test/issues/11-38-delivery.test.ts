// These tests cover the measurement of delivered bytes, in contrast to bytes in a socket's buffers. See
// 11-38-collapsing-link.timed.test.ts for the fault without it.

import { describe, expect, test } from 'vitest';
import type { MigrationAddress } from '../../src/domain/ports/migration-session.ts';
import type { OutgoingChannel } from '../../src/engine/channels/channel.ts';
import { ReversePath } from '../../src/engine/channels/reverse-path.ts';
import { openOutgoing } from '../../src/engine/channels/transports.ts';
import { Delivery, MARKS_MAX } from '../../src/engine/convergence/delivery-watch.ts';
import { WaitPoint } from '../../src/engine/session/wait-point.ts';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { openPeer, type Peer } from '../helpers/peer.ts';

describe('the delivery of a stream', () => {
  test('is unknown before the first acknowledgement, and limits nothing until then', () => {
    const delivery = new Delivery();
    delivery.mark(1000, 0);
    expect(delivery.outstanding(1_000_000)).toBe(0);
    expect(delivery.bandwidth(60_000)).toBe(Number.POSITIVE_INFINITY);
  });

  test('has the bandwidth between acknowledgements, without the time in which nothing was sent', () => {
    const delivery = new Delivery();
    delivery.acknowledged(0, 10);
    for (const [index, startedMs] of [1000, 5000].entries()) {
      delivery.mark((index + 1) * 1_000_000, startedMs);
      delivery.acknowledged((index + 1) * 1_000_000, startedMs + 200);
      expect(delivery.bandwidth(startedMs + 300)).toBe(5_000_000);
    }
    expect(delivery.outstanding(2_300_000)).toBe(300_000);
  });

  test('has a bandwidth that decreases with the time while the link takes nothing, and never reaches 0', () => {
    const delivery = new Delivery();
    delivery.acknowledged(0, 0);
    delivery.mark(1_000_000, 0);
    delivery.acknowledged(1_000_000, 100);
    expect(delivery.bandwidth(100)).toBe(10_000_000);
    delivery.mark(2_000_000, 100);
    expect(delivery.bandwidth(150)).toBe(10_000_000);
    expect(delivery.bandwidth(1100)).toBe(1_000_000);
    expect(delivery.bandwidth(10_100)).toBe(100_000);
    expect(delivery.bandwidth(1e15)).toBe(1);
    // The link is well again.
    delivery.acknowledged(2_000_000, 10_100);
    delivery.mark(3_000_000, 10_100);
    delivery.acknowledged(3_000_000, 10_200);
    expect(delivery.bandwidth(10_200)).toBe(10_000_000);
  });

  test('has a bounded number of marks', () => {
    const delivery = new Delivery();
    for (let index = 1; delivery.canMark; index += 1) delivery.mark(index, 0);
    delivery.acknowledged(MARKS_MAX, 1);
    expect(delivery.canMark).toBe(true);
  });
});

test('an answer to a sent ping does not count towards the message limit, and an answer to an unsent ping does', () => {
  let tell: (bytes: Uint8Array) => void = () => {};
  const onReverse = (listener: typeof tell) => {
    tell = listener;
  };
  const channel = { onReverse } as unknown as OutgoingChannel;
  const waitPoint = new WaitPoint(() => false);
  const reverse = new ReversePath(channel, waitPoint, () => false);
  const awaited = Array.from({ length: 1000 }, (_, index) => index + 1);
  reverse.onPong = (value) => value === awaited[0] && awaited.shift() !== undefined;
  for (let value = 1; value <= 1000; value += 1) tell(encodeReverse({ type: 'pong', value }));
  expect(() => waitPoint.check()).not.toThrow();
  for (let count = 0; count < 17; count += 1) tell(encodeReverse({ type: 'pong', value: 1 }));
  expect(() => waitPoint.check()).toThrow('more than 16 messages');
});

describe.each(['tcp', 'unix'] as const)('a channel over %s', (transport) => {
  const BYTES = 24 * 1024 * 1024;

  async function open(): Promise<{ channel: OutgoingChannel; peer: Peer }> {
    const peer = await openPeer(() => {}, { reads: false, transport });
    const [, host = '', port] = peer.uri.split(':');
    const address: MigrationAddress =
      transport === 'unix' ? { transport, path: host } : { transport, host, port: Number(port) };
    const channel = await openOutgoing(address, '/', new AbortController().signal);
    channel.onFailure(() => {});
    return { channel, peer };
  }

  test('reports how much of its data the peer has acknowledged', async () => {
    const { channel, peer } = await open();
    expect(channel.acknowledgedBytes?.()).toBe(0);
    await peer.has(0);
    channel.write(Buffer.alloc(BYTES), () => {});
    const acknowledged = () => channel.acknowledgedBytes?.() ?? null;
    const before = acknowledged();
    expect(before).toBeLessThan(BYTES);
    peer.socket.resume();
    await expect.poll(acknowledged, { interval: 5 }).toBe(BYTES);
    channel.destroy();
  });
});
