// At the limit of connections the service closed each new one. A client without a token could hold all connections
// and reopen them before their time limit, so clients with a token and the probe of /healthz were not served. Now a
// new connection replaces one that has shown no token.

import { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Connections } from '../../src/routes/http/http-server.ts';
import { exchange, fakeApp, listen, tokenFile } from '../helpers/app.ts';

const TOKEN = 'viewer-token-of-some-length';
const HEAD = 'HTTP/1.1\r\nHost: localhost\r\n';
const SHOWN = `Authorization: Bearer ${TOKEN}\r\n`;
const CONNECTIONS_MAX = 20;

async function guarded(limits = {}) {
  const app = await fakeApp({
    flags: ['--token-file', tokenFile([`${TOKEN} viewer`])],
    // On a busy machine a round takes longer than a connection may be idle, and the holder's would be closed for that.
    limits: { connectionsMax: CONNECTIONS_MAX, keepAliveTimeoutMs: 60_000, ...limits },
  });
  return { app, port: await listen(app.server) };
}

/** Opens a connection and sends a text. */
async function opened(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(text);
  return socket;
}

/** The answer to one request on a connection that stays open. @throws Error if the connection is closed instead. */
async function answerTo(socket: Socket, text: string): Promise<string> {
  if (socket.closed) throw new Error('the connection has been closed');
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.once('data', (chunk) => resolve(String(chunk)));
  socket.once('close', () => reject(new Error('the connection was closed without an answer')));
  socket.write(text);
  return await promise;
}

const STRANGERS = [
  ['without data', ''],
  ['with an incomplete request', `GET /status ${HEAD}`],
  ['with a request without a token', `GET /status ${HEAD}\r\n`],
  ['with a wrong token', `GET /status ${HEAD}Authorization: Bearer wrong\r\n\r\n`],
  ['with a request that needs no token', `GET /healthz ${HEAD}\r\n`],
  ['with a slow body', `POST /stop ${HEAD}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{`],
  ['that pipeline', `GET /healthz ${HEAD}\r\n`.repeat(200)],
] as const;

describe('when clients without a token hold all connections', () => {
  test.each(STRANGERS)('a client with a token and /healthz are served: connections %s', async (_what, text) => {
    const { port } = await guarded();
    const holder = await opened(port, '');
    expect(await answerTo(holder, `GET /status ${HEAD}${SHOWN}\r\n`)).toMatch(/^HTTP\/1\.1 200/);
    for (let round = 0; round < 3; round += 1) {
      for (let count = 0; count < CONNECTIONS_MAX; count += 1) await opened(port, text);
      const close = 'Connection: close\r\n\r\n';
      expect(await exchange(port, `GET /status ${HEAD}${SHOWN}${close}`)).toMatch(/^HTTP\/1\.1 200/);
      expect(await exchange(port, `GET /healthz ${HEAD}${close}`)).toMatch(/^HTTP\/1\.1 200/);
    }
    expect(await answerTo(holder, `GET /status ${HEAD}${SHOWN}\r\n`)).toMatch(/^HTTP\/1\.1 200/);
  });

  test('connections that have shown a token are kept, and additional connections are closed at once', async () => {
    const { port } = await guarded({ connectionsMax: 3 });
    const holders = await Promise.all(Array.from({ length: 3 }, () => opened(port, '')));
    for (const holder of holders) await answerTo(holder, `GET /status ${HEAD}${SHOWN}\r\n`);
    expect(await exchange(port, `GET /status ${HEAD}${SHOWN}\r\n`)).toBe('');
    for (const holder of holders) expect(await answerTo(holder, `GET /status ${HEAD}${SHOWN}\r\n`)).toMatch(/ 200 /);
  });

  test('a new connection without a byte gets 408 long before the time limit for headers', async () => {
    const { port } = await guarded({ silenceTimeoutMs: 50, connectionsCheckMs: 10 });
    const began = await opened(port, `GET /status ${HEAD}`);
    expect(await exchange(port, '')).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/);
    expect(await answerTo(began, `${SHOWN}\r\n`)).toMatch(/^HTTP\/1\.1 200/);
  });
});

/** A socket as far as connections are counted. */
function from(remoteAddress: string, bytesRead = 0): Socket {
  const socket = Object.assign(new EventEmitter(), {
    remoteAddress,
    bytesRead,
    destroyed: false,
    destroy: () => {
      socket.destroyed = true;
    },
  });
  return socket as unknown as Socket;
}

describe('the connection that is closed for a new one', () => {
  test('is the oldest of the address with the most connections without a token', () => {
    const connections = new Connections({ connectionsMax: 5, silenceMs: 10 });
    const many = Array.from({ length: 3 }, () => from('192.0.2.1'));
    const few = [from('192.0.2.2'), from('2001:db8::1')];
    for (const socket of [few[0], ...many, few[1]]) connections.admit(socket!);
    connections.trust(many[0]!);
    expect(connections.admit(from('192.0.2.3'))).toBe(true);
    expect([...many, ...few].map(({ destroyed }) => destroyed)).toEqual([false, true, false, false, false]);
  });

  test('is chosen with all addresses of one IPv6 network counted as one', () => {
    const connections = new Connections({ connectionsMax: 3, silenceMs: 10 });
    const sockets = [from('192.0.2.1'), from('2001:db8::1'), from('2001:db8::2:1')];
    for (const socket of sockets) connections.admit(socket);
    connections.admit(from('192.0.2.9'));
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
  });

  test('frees exactly one place, whether the service or the client closes it', () => {
    const connections = new Connections({ connectionsMax: 2, silenceMs: 10 });
    const [first, second, third] = [from('192.0.2.1'), from('192.0.2.1'), from('192.0.2.2')];
    for (const socket of [first, second, third]) connections.admit(socket);
    expect([first.destroyed, second.destroyed]).toEqual([true, false]);
    first.emit('close');
    for (const socket of [second, third]) connections.trust(socket);
    expect(connections.admit(from('192.0.2.3'))).toBe(false);
    second.emit('close');
    expect(connections.admit(from('192.0.2.3'))).toBe(true);
    expect(third.destroyed).toBe(false);
  });

  test('counts as silent only if nothing was ever received on it', () => {
    let now = 0;
    const connections = new Connections({ connectionsMax: 9, silenceMs: 10, now: () => now });
    const [quiet, spoke, trusted] = [from('192.0.2.1'), from('192.0.2.1', 1), from('192.0.2.1')];
    for (const socket of [quiet, spoke, trusted]) connections.admit(socket);
    connections.trust(trusted);
    expect(connections.silent()).toEqual([]);
    now = 10;
    expect(connections.silent()).toEqual([quiet]);
  });
});
