// Node's parser emits every complete request in the received bytes at once. The service started each of ten thousand
// pipelined requests and created its answer before the client had read the first one: with documents of half a
// megabyte the process grew to gigabytes. Now a connection has one request in progress, and later requests stay in
// the client until the kernel has accepted the answer before them.

import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, exchange, type FakeApp, fakeApp, listen } from '../helpers/app.ts';
import { shared } from '../helpers/shared.ts';

const HEAD = 'HTTP/1.1\r\nHost: localhost\r\n';
const GET_DOCUMENT = `GET /openapi.json ${HEAD}\r\n`;

/** A service on which nothing happens, and its port. */
const idle = shared(async () => {
  const app = await fakeApp();
  return { app, port: await listen(app.server) };
});

/** Sends the text in pieces of so many bytes, and reads until so many answers are there. */
async function answersTo(
  port: number,
  text: string,
  options: { count: number; pieceBytes?: number },
): Promise<string[]> {
  const socket = connectTo(port).setNoDelay();
  const { count, pieceBytes = text.length } = options;
  let got = '';
  const enough = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      got += String(chunk);
      if (got.split('HTTP/1.1 ').length - 1 >= count && got.endsWith('\n')) resolve();
    });
  });
  for (let at = 0; at < text.length; at += pieceBytes) {
    socket.write(text.slice(at, at + pieceBytes));
    if (pieceBytes < text.length) await new Promise((resolve) => setImmediate(resolve));
  }
  await enough;
  return got.split('HTTP/1.1 ').slice(1);
}

function connectTo(port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** Requests that the service has begun so far, by path. */
function begun({ server }: FakeApp): string[] {
  const paths: string[] = [];
  server.server.on('request', ({ url }: { readonly url: string }) => paths.push(url));
  return paths;
}

describe('pipelined requests', () => {
  test('of ten thousand requests with unread answers only as many start as the socket can take answers of', async () => {
    const app = await fakeApp();
    const paths = begun(app);
    const socket = connectTo(await listen(app.server)).pause();
    socket.write(GET_DOCUMENT.repeat(10_000));
    await expect.poll(() => paths.length).toBeGreaterThan(0);
    // Another client is served a hundred times meanwhile.
    for (let count = 0; count < 100; count += 1) await ask(app.server, '/status');
    // The buffers of both sockets hold some documents; each of them is half a megabyte.
    expect(paths.length).toBeLessThan(50);
  });

  test('of pipelined waits only the first starts', async () => {
    const app = await fakeApp();
    const port = await listen(app.server);
    const { headers } = await ask(app.server, '/migrate');
    const paths = begun(app);
    const socket = connectTo(port);
    socket.write(`GET /migrate ${HEAD}If-None-Match: ${headers.etag}\r\nPrefer: wait=60\r\n\r\n`.repeat(4000));
    await expect.poll(() => paths.length).toBe(1);
    for (let count = 0; count < 100; count += 1) await ask(app.server, '/status');
    expect(paths.length).toBe(1);
  });

  test('the service detects that a client disconnects during a wait, although its pipelined requests are unread', async () => {
    const { app, port } = idle();
    const gone = new Promise((resolve) =>
      app.server.server.once('connection', (socket) => socket.once('close', resolve)),
    );
    const socket = connectTo(port).pause();
    socket.write(GET_DOCUMENT.repeat(100));
    await new Promise((resolve) => setImmediate(resolve));
    socket.resetAndDestroy();
    await gone;
  });

  test.each([1, 7, 19, 1000, 100_000])(
    'requests sent %i bytes at a time are all answered in their order',
    async (pieceBytes) => {
      const { port } = idle();
      const body = JSON.stringify({ 'downtime-limit': 300, nonsense: '\r\n\r\nGET /stolen HTTP/1.1\r\n\r\n' });
      const type = 'Content-Type: application/json\r\n';
      const chunks = `5\r\n{"a":\r\n4\r\n1}\r\n\r\n0\r\n\r\n`;
      const round = [
        `GET /healthz ${HEAD}\r\n`,
        `PATCH /migrate/parameters ${HEAD}${type}Content-Length: ${body.length}\r\n\r\n${body}`,
        `HEAD /status ${HEAD}\r\n`,
        `PATCH /migrate/parameters ${HEAD}${type}Transfer-Encoding: chunked\r\n\r\n${chunks}`,
        `\r\n\r\nGET /nowhere ${HEAD}\r\n`,
        // The body of a GET is not read by anything.
        `GET /healthz ${HEAD}Content-Length: 8\r\n\r\nab\r\n\r\ncd`,
      ].join('');
      const rounds = pieceBytes < 20 ? 1 : 20;
      const answers = await answersTo(port, round.repeat(rounds), { count: 6 * rounds, pieceBytes });
      const statuses = answers.map((answer) => answer.slice(0, 3));
      expect(statuses).toEqual(Array.from({ length: rounds }, () => ['200', '400', '200', '400', '404', '200']).flat());
    },
  );

  test.each(['GET', 'PATCH'])('the body of a %s beyond the buffer is read before the next request', async (method) => {
    const { port } = idle();
    const bytes = 500_000;
    const head = `${method} /migrate/parameters ${HEAD}Content-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`;
    const text = `${head}{"x":1${' '.repeat(bytes - 7)}}`.repeat(3) + GET_DOCUMENT;
    const answers = await answersTo(port, text, { count: 4 });
    const status = method === 'GET' ? '200' : '400';
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual([status, status, status, '200']);
  });

  test('requests that change something take effect in the order in which they were sent', async () => {
    const { server } = await fakeApp();
    const port = await listen(server);
    const limits = Array.from({ length: 50 }, (_, index) => index + 1);
    const requests = limits.map((limit) => {
      const body = JSON.stringify({ 'downtime-limit': limit });
      return `PATCH /migrate/parameters ${HEAD}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    });
    const answers = await answersTo(port, requests.join(''), { count: limits.length });
    expect(answers.map((answer) => Number(/"downtime-limit":(\d+)/.exec(answer)?.[1]))).toEqual(limits);
  });

  test('nothing after an invalid request is read', async () => {
    const { app, port } = idle();
    const paths = begun(app);
    const answer = await exchange(port, `GET /first ${HEAD}\r\nnonsense\r\n\r\nGET /second ${HEAD}\r\n`);
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 400']);
    expect(paths).toEqual(['/first']);
  });

  test('the time limit for headers does not apply to a request that waits for an earlier answer', async () => {
    const { server, domain } = await fakeApp({
      limits: { headersTimeoutMs: 50, requestTimeoutMs: 60, connectionsCheckMs: 10 },
    });
    const port = await listen(server);
    const { headers } = await ask(server, '/migrate');
    const socket = connectTo(port);
    let got = '';
    socket.on('data', (chunk) => {
      got += String(chunk);
    });
    socket.write(
      `GET /migrate ${HEAD}If-None-Match: ${headers.etag}\r\nPrefer: wait=60\r\n\r\nGET /healthz HTTP/1.1\r\n`,
    );
    // When a silent connection has been closed, the time limit for headers has passed twice.
    for (let count = 0; count < 2; count += 1) await exchange(port, '');
    socket.write('Host: localhost\r\n\r\n');
    expect(got).toBe('');
    await domain.machine.stop();
    await expect.poll(() => got.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
  });
});
