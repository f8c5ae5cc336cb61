import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type DecodedMessage, QmpDecoder } from '../../../src/qmp/codec/qmp-decoder.ts';
import {
  encodeMessage,
  QmpError,
  readRequest,
  readServerMessage,
  requestMessage,
  type ServerMessage,
} from '../../../src/qmp/codec/qmp-messages.ts';
import { QMP_LIMITS } from '../../../src/qmp/qmp-limits.ts';
import { temporaryDirectory } from '../../helpers/app.ts';
import { startQemu } from '../../helpers/qemu/qemu.ts';
import { readQmpMessages } from '../../helpers/qmp-reader.ts';
import { startService } from '../../helpers/service.ts';

/* The codec at the client's side, and requests read back as a server reads them. */

test('a request is the same after encoding, decoding byte by byte, and reading', () => {
  const decoder = new QmpDecoder(QMP_LIMITS);
  const request = { name: 'migrate-set-parameters', arguments: { 'max-bandwidth': 2n ** 63n }, isOutOfBand: true };
  for (const byte of Buffer.from(encodeMessage(requestMessage(request, 'a1')))) decoder.push(Uint8Array.of(byte));
  const message = contentOf(decoder.next());
  expect(message).toMatchObject({ id: 'a1' });
  expect(readRequest(message, true)).toEqual(request);
});

test.each([[null], [[]], [{}], [{ QMP: {} }], [{ error: 'no' }], [{ event: 'STOP', data: 1 }]])(
  'the value %j is refused as a message of a server',
  (value) => {
    expect(() => readServerMessage(value)).toThrow(QmpError);
  },
);

test.each([
  ['QEMU', qemuSocket],
  ['vmferry', vmferrySocket],
])('a client of the codec understands the greeting, answers, errors and events of %s', async (_name, start) => {
  const { send, receive } = clientOf(await start());
  expect(await receive('greeting')).toMatchObject({ capabilities: ['oob'] });
  send('qmp_capabilities', 1, { enable: ['oob'] });
  expect(await receive('result')).toEqual({ kind: 'result', id: 1, value: {} });
  send('query-nothing', 2);
  expect(await receive('error')).toMatchObject({ id: 2, class: 'CommandNotFound', description: expect.any(String) });
  send('stop', 3);
  expect(await receive('event')).toMatchObject({ name: 'STOP', data: {}, timestamp: { seconds: expect.any(Number) } });
  expect(await receive('result')).toMatchObject({ id: 3 });
  send('query-status', 4);
  expect(await receive('result')).toMatchObject({ id: 4, value: { running: false, status: 'paused' } });
});

async function qemuSocket(): Promise<string> {
  const path = join(temporaryDirectory(), 'qmp');
  await startQemu({ extraArguments: ['-qmp', `unix:${path},server=on,wait=off`] });
  return path;
}

async function vmferrySocket(): Promise<string> {
  const path = join(temporaryDirectory(), 'qmp');
  const service = await startService(['--ram', '16M', '--workload', 'rate=1M,span=1M', '--qmp', `unix:${path}`]);
  await service.app.listenQmp();
  return path;
}

function clientOf(path: string) {
  const received: ServerMessage[] = [];
  let arrived = Promise.withResolvers<void>();
  const socket = connect(path);
  onTestFinished(() => {
    socket.destroy();
  });
  readQmpMessages(socket, (message) => {
    received.push(readServerMessage(message));
    arrived.resolve();
    arrived = Promise.withResolvers();
  });
  return {
    send: (name: string, id: number, given: object = {}) =>
      socket.write(encodeMessage(requestMessage({ name, arguments: given, isOutOfBand: false }, id))),
    /** The next message of this kind; messages of other kinds stay for later calls, as events may arrive at any time. */
    receive: async (kind: ServerMessage['kind']): Promise<ServerMessage> => {
      for (;;) {
        const index = received.findIndex((message) => message.kind === kind);
        const [message] = index === -1 ? [] : received.splice(index, 1);
        if (message !== undefined) return message;
        await arrived.promise;
      }
    },
  };
}

function contentOf(decoded: DecodedMessage | null): unknown {
  if (decoded?.kind !== 'value') throw new Error(`a value was expected, not ${JSON.stringify(decoded)}`);
  return decoded.value;
}
