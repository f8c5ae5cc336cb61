// Nothing caught a fault while the answer to a QMP command was awaited and written. After a rejection the connection
// stayed in the state "answering", so later commands of the client were never executed, and the rejection itself
// ended the process.

import { once } from 'node:events';
import net from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { plainIntake } from '../../src/qmp/descriptor-intake.ts';
import { QmpConnection } from '../../src/qmp/qmp-connection.ts';
import { QMP_LIMITS } from '../../src/qmp/qmp-limits.ts';
import { QmpSession } from '../../src/qmp/qmp-session.ts';

/** A client whose every command is answered by `answer`; `reported` gets the faults. */
async function clientOf(answer: () => Promise<unknown>, reported: unknown[]): Promise<net.Socket> {
  const session = new QmpSession({ domain: {} as never, report: (error) => reported.push(error) });
  Object.assign(session, { answer });
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    new QmpConnection({
      socket,
      session,
      limits: QMP_LIMITS,
      held: { bytes: 0 },
      isGuarded: false,
      openIntake: plainIntake,
    }).begin();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  return client;
}

const cyclic: Record<string, unknown> = {};
cyclic.itself = cyclic;

it.each([
  ['is rejected', () => Promise.reject(new Error('a fault made for a test'))],
  ['cannot be written as JSON', () => Promise.resolve(cyclic)],
])(
  'a client whose answer %s is disconnected instead of waiting forever, and the fault is reported',
  async (_, answer) => {
    const reported: unknown[] = [];
    const client = await clientOf(answer, reported);
    client.on('error', () => {});
    client.write('{"execute":"qmp_capabilities"}\n{"execute":"query-status"}\n');
    client.resume();
    await once(client, 'close');
    expect(reported).toHaveLength(1);
  },
);
