import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { exchange, fakeApp, listen } from '../helpers/app.ts';

const HEAD = 'Host: localhost\r\nContent-Type: application/json\r\n';

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}

describe('malformed requests', () => {
  test.each([
    ['two lengths', `POST /stop HTTP/1.1\r\n${HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} `],
    [
      'a length together with chunks',
      `POST /stop HTTP/1.1\r\n${HEAD}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['a length that is not a number', `POST /stop HTTP/1.1\r\n${HEAD}Content-Length: 2x\r\n\r\n{}`],
    ['a bad chunk size', `POST /stop HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
    [
      'a chunk size that overflows',
      `POST /stop HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(17)}\r\n`,
    ],
    ['an unknown transfer encoding', `POST /stop HTTP/1.1\r\n${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['a line feed without a carriage return', 'GET /status HTTP/1.1\nHost: localhost\n\n'],
    ['a folded header', 'GET /status HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n'],
    ['a space before the colon', 'GET /status HTTP/1.1\r\nHost : localhost\r\n\r\n'],
    ['no host', 'GET /status HTTP/1.1\r\n\r\n'],
    ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003'],
    ['another protocol', 'EHLO localhost\r\n\r\n'],
  ])('%s gets 400, and the connection is closed', async (_what, text) => {
    const { server, machine } = await fakeApp();
    const answer = await exchange(await listen(server), text);
    expect(statusOf(answer)).toBe(400);
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(machine.held.size).toBe(0);
  });

  test('endless headers are refused with 431', async () => {
    const { server } = await fakeApp();
    const answer = await exchange(await listen(server), `GET /status HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`);
    expect(statusOf(answer)).toBe(431);
    expect(answer).toContain('"code":"headers_too_large"');
    expect(answer.toLowerCase()).toContain('x-content-type-options: nosniff');
  });
});

describe('too large or too slow bodies', () => {
  test('a length above the limit is refused before the body is read', async () => {
    const { server } = await fakeApp();
    const answer = await exchange(
      await listen(server),
      `PATCH /migrate/parameters HTTP/1.1\r\n${HEAD}Content-Length: 9999999999\r\n\r\n{`,
    );
    expect(statusOf(answer)).toBe(413);
    expect(answer.toLowerCase()).toContain('connection: close');
  });

  test('a chunked body is refused when it reaches the limit', async () => {
    const { server } = await fakeApp({ limits: { bodyBytesMax: 1024 } });
    const chunk = `400\r\n${' '.repeat(1024)}\r\n`;
    const answer = await exchange(
      await listen(server),
      `PATCH /migrate/parameters HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`,
    );
    expect(statusOf(answer)).toBe(413);
  });

  test('an endless body is read hardly beyond the limit', async () => {
    const { server } = await fakeApp({ limits: { bodyBytesMax: 1024 } });
    const socket = connect(await listen(server), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const gone = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {}).resume();
    socket.write(`PATCH /migrate/parameters HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    const chunk = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`);
    const pour = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', pour);
    pour();
    await gone;
    // The data in the socket buffers is not counted for the service.
    expect(socket.bytesWritten).toBeLessThan(64 * 2 ** 20);
  });

  test('a body that arrives byte by byte times out, and other clients are served meanwhile', async () => {
    const { server } = await fakeApp({
      limits: { requestTimeoutMs: 200, headersTimeoutMs: 100, connectionsCheckMs: 20 },
    });
    const port = await listen(server);
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let answer = '';
    const gone = new Promise((resolve) => socket.once('close', resolve));
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        answer += String(chunk);
      });
    socket.write(`PATCH /migrate/parameters HTTP/1.1\r\n${HEAD}Content-Length: 1000\r\n\r\n`);
    const drip = setInterval(() => socket.write(' '), 10);
    onTestFinished(() => clearInterval(drip));
    expect((await fetch(`http://127.0.0.1:${port}/status`)).status).toBe(200);
    await gone;
    expect(statusOf(answer)).toBe(408);
  });

  test('a body that is shorter than its length times out', async () => {
    const { server } = await fakeApp({
      limits: { requestTimeoutMs: 100, headersTimeoutMs: 100, connectionsCheckMs: 20 },
    });
    const answer = await exchange(
      await listen(server),
      `PATCH /migrate/parameters HTTP/1.1\r\n${HEAD}Content-Length: 100\r\n\r\n{}`,
    );
    expect(statusOf(answer)).toBe(408);
  });
});

describe('slow clients', () => {
  const SHORT = { requestTimeoutMs: 150, headersTimeoutMs: 100, connectionsCheckMs: 20 };

  test('slow headers time out, and other clients are served meanwhile', async () => {
    const { server } = await fakeApp({ limits: SHORT });
    const port = await listen(server);
    const slow = Array.from({ length: 50 }, () => exchange(port, 'GET /status HTTP/1.1\r\nHost: loc'));
    const good = await fetch(`http://127.0.0.1:${port}/status`);
    expect(good.status).toBe(200);
    for (const answer of await Promise.all(slow)) expect(statusOf(answer)).toBe(408);
  });

  test('connections without any data are closed', async () => {
    const { server } = await fakeApp({ limits: SHORT });
    const port = await listen(server);
    const answers = await Promise.all(Array.from({ length: 50 }, () => exchange(port, '')));
    expect(answers).toHaveLength(50);
    expect(await connectionsOf(server)).toBe(0);
  });

  test('connections beyond the limit are closed at once', async () => {
    const { server } = await fakeApp({ limits: { connectionsMax: 5 } });
    const port = await listen(server);
    const open = await Promise.all(Array.from({ length: 5 }, () => opened(port)));
    expect(await exchange(port, 'GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n')).toBe('');
    for (const socket of open) expect(socket.destroyed).toBe(false);
  });
});

async function connectionsOf(server: {
  server: { getConnections(report: (error: Error | null, count: number) => void): void };
}): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

/** A connection after one request, kept open. */
async function opened(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write('GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}
