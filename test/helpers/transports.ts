// The sockets of migrations: each test with one of them must also pass with the other.

import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from './app.ts';

export const SOCKET_TRANSPORTS = ['tcp', 'unix'] as const;
export type SocketTransport = (typeof SOCKET_TRANSPORTS)[number];

/** A path for a new socket; its folder is removed after the test. */
export function socketPath(): string {
  return join(temporaryDirectory(), 's');
}

/** An address to listen on: a free loopback port, or a path in a new folder. */
export function addressToListen(transport: SocketTransport): string {
  return transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${socketPath()}`;
}

/** Begins to connect to `tcp:127.0.0.1:PORT` or `unix:PATH`. The socket is destroyed after the test, and its errors mean nothing. */
export function startConnecting(uri: string, options: { readonly allowHalfOpen?: boolean } = {}): net.Socket {
  const socket = uri.startsWith('unix:')
    ? net.connect({ ...options, path: uri.slice('unix:'.length) })
    : net.connect({ ...options, host: '127.0.0.1', port: Number(uri.slice(uri.lastIndexOf(':') + 1)) });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  return socket;
}

/** A connection to the address. With `reads` false it reads nothing. */
export async function connectTo(uri: string, { reads = true }: { readonly reads?: boolean } = {}): Promise<net.Socket> {
  const socket = startConnecting(uri);
  socket.pause();
  await once(socket, 'connect');
  if (reads) socket.resume();
  return socket;
}

/** Resolves when the connection is closed, in order or not. */
export function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}
