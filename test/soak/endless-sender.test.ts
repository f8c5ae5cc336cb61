// A sender that pings without end and reads no answers. The test takes long, since the buffers of both ends fill
// first. test/issues/11-32-endless-sender.timed.test.ts has the senders that never end in other ways.

import net from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { encodeConfiguration, encodeHeader } from '../../src/engine/stream/configuration.ts';
import { encodeCommand } from '../../src/engine/stream/stream-elements.ts';
import { localService } from '../helpers/guest-service.ts';

const PINGS = 50_000;

test('a sender that pings and reads no answers is disconnected', async () => {
  const target = await localService(['--machine', 'image', '--incoming', 'tcp:127.0.0.1:0']);
  const socket = net.connect(Number((await target.incomingUri()).split(':').at(-1)), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  socket.pause();
  socket.write(Buffer.concat([encodeHeader(), encodeConfiguration('pc', new Uint8Array())]));
  socket.write(encodeCommand({ name: 'open-return-path' }));
  const pings = Buffer.concat(new Array<Uint8Array>(PINGS).fill(encodeCommand({ name: 'ping', value: 7 })));
  const timer = setInterval(() => socket.writableNeedDrain || socket.write(pings), 5);
  onTestFinished(() => clearInterval(timer));
  expect(await target.ended()).toMatchObject({ status: 'failed', error: { code: 'element_unexpected' } });
});
