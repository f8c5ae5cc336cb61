// Descriptors for `--fd`: ends of pipes and connections that the service with the flag closes.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs, { constants } from 'node:fs';
import net from 'node:net';
import koffi from 'koffi';
import { expect } from 'vitest';
import { whenOver } from './shared.ts';
import { connectTo, type SocketTransport, socketPath } from './transports.ts';

const duplicate = koffi.load(null).func('int dup(int fd)') as (fd: number) => number;

/** Both ends of a new pipe, as descriptors. */
export function openPipe(): { readonly read: number; readonly write: number } {
  const path = socketPath();
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  const read = fs.openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { read, write: fs.openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
}

/** A duplicate descriptor of the connection. The socket itself is closed without an effect on its peer. It must not have read. */
export function descriptorOf(socket: net.Socket): number {
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd: number } };
  const fd = duplicate(handle.fd);
  expect(fd).toBeGreaterThan(2);
  socket.destroy();
  return fd;
}

/** The number of descriptors of a process (default: this one) that refer to the file. */
export function opened(file: string, pid: number | 'self' = 'self'): number {
  return fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/fd/${fd}`) === file;
    } catch {
      return false;
    }
  }).length;
}

/** Both ends of a connection, before any read. */
export async function socketPair(transport: SocketTransport): Promise<readonly [net.Socket, net.Socket]> {
  const server = net.createServer({ pauseOnConnect: true });
  const where = transport === 'tcp' ? { host: '127.0.0.1', port: 0 } : { path: socketPath() };
  await new Promise<void>((resolve) => server.listen(where, resolve));
  const accepted = once(server, 'connection');
  const bound = server.address() as net.AddressInfo | string;
  const uri = typeof bound === 'string' ? `unix:${bound}` : `tcp:127.0.0.1:${bound.port}`;
  const connected = await connectTo(uri, { reads: false });
  const [other] = (await accepted) as [net.Socket];
  server.close();
  whenOver(() => void other.destroy());
  return [connected, other];
}
