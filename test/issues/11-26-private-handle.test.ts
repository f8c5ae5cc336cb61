// An accepted socket is read directly into a caller's buffer through `_handle`, a private member of Node's sockets. A
// version of Node without it would use a slower path without a warning. This test fails then.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readInto } from '../../src/engine/channels/socket-handle.ts';

it.each(['tcp', 'unix'])('an accepted %s socket is read through its handle into a given buffer', async (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'vmferry-handle-'));
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(kind === 'tcp' ? { port: 0, host: '127.0.0.1' } : { path: join(folder, 's') });
  await once(server, 'listening');
  const client = net.connect(server.address() as net.NetConnectOpts & net.AddressInfo & string);
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  onTestFinished(() => {
    for (const socket of [client, accepted, read]) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const into = new Uint8Array(new SharedArrayBuffer(64));
  const came = Promise.withResolvers<number>();
  const read = readInto(accepted, () => into, came.resolve);

  expect(read, 'Node has no _handle any more: see docs/adr/0002-reading-accepted-sockets.md').not.toBe(accepted);
  client.write('straight');
  expect(await came.promise).toBe(8);
  expect(Buffer.from(into.slice(0, 8)).toString()).toBe('straight');
});
