// Every request for the API document, an error page or a part of /docs read a file. Each answer had its own copy,
// half a megabyte for a client that read nothing. Each answer also used several threads of libuv's pool, which the
// guest disk uses, so many such requests stopped the writes of the guest. Now each document is in memory once.

import { execFileSync } from 'node:child_process';
import { closeSync, constants, open, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { OPERATIONS } from '../../src/routes/route-table.ts';
import { ask, fakeApp, listen, temporaryDirectory } from '../helpers/app.ts';
import { shared } from '../helpers/shared.ts';

const untouched = shared(() => fakeApp());

/** Threads of libuv's pool: UV_THREADPOOL_SIZE, 4 unless given, 1024 at most. */
const POOL_THREADS = Number(process.env.UV_THREADPOOL_SIZE ?? 4);

/** Blocks every thread of libuv's pool: each opens a FIFO without a writer. @returns a function that ends this. */
function blockPool(): () => Promise<void> {
  const fifo = join(temporaryDirectory(), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const opening = Array.from({ length: POOL_THREADS }, () => promisify(open)(fifo, constants.O_RDONLY));
  return async () => {
    const writer = openSync(fifo, constants.O_WRONLY);
    for (const fd of await Promise.all(opening)) closeSync(fd);
    closeSync(writer);
  };
}

/** Paths of every operation that reads, as far as they need no row; and of the interactive page. */
const PATHS = [
  ...OPERATIONS.filter(({ method, path }) => method === 'GET' && path !== '/events').map(({ path }) =>
    path.replace('/errors/:code', '/errors/no_space').replace(/:\w+/g, '1'),
  ),
  '/docs',
  '/docs/json',
  '/docs/static/swagger-ui-bundle.js',
];

describe('answers of the service from memory', () => {
  test('GET requests need no thread of the pool that the guest disk uses', async () => {
    const { server } = untouched();
    // The interactive page is put together when it is first asked for.
    for (const path of PATHS.filter((one) => one.startsWith('/docs'))) await ask(server, path);
    const unblock = blockPool();
    try {
      for (const path of PATHS) expect((await ask(server, path)).status, path).toBeLessThan(500);
    } finally {
      await unblock();
    }
  });

  test('four hundred clients that request the API document and read nothing share its bytes', async () => {
    const { server } = await fakeApp();
    const port = await listen(server);
    await ask(server, '/openapi.json');
    const bytesBefore = process.memoryUsage().arrayBuffers;
    const { promise: allAsked, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    server.server.on('request', () => {
      asked += 1;
      if (asked === 400) resolve();
    });
    const sockets = Array.from({ length: 400 }, () => silent(port));
    for (const socket of sockets) socket.write('GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await allAsked;
    await ask(server, '/status');
    // A copy for each would be 200 MB.
    expect(process.memoryUsage().arrayBuffers - bytesBefore).toBeLessThan(40e6);
  });

  test('a document has an entity tag, and a client that sends it gets 304', async () => {
    const { server } = untouched();
    for (const path of ['/openapi.json', '/errors/no_space', '/docs/static/swagger-ui.css', '/docs']) {
      const { etag } = (await ask(server, path)).headers;
      const again = await ask(server, path, { headers: { 'if-none-match': String(etag) } });
      expect([path, again.status, again.text, again.headers.etag]).toEqual([path, 304, '', etag]);
    }
  });

  test('HEAD reports the length of a document and sends no body', async () => {
    const { server } = untouched();
    for (const path of ['/openapi.json', '/errors/no_space', '/docs/static/swagger-ui.css']) {
      const whole = await ask(server, path);
      const head = await ask(server, path, { method: 'HEAD', headers: { range: 'bytes=0-3' } });
      const length = String(Buffer.byteLength(whole.text));
      expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', length]);
    }
  });
});

/** A connection that reads nothing. */
function silent(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
    .on('error', () => {})
    .pause();
  onTestFinished(() => void socket.destroy());
  return socket;
}
