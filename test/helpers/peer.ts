// Peers on real sockets that read a migration stream and behave as a test requests.

import net, { type AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { breakOff } from '../../src/engine/channels/socket-handle.ts';
import { type SocketTransport, socketPath } from './transports.ts';

/** Bytes of the stream's end that a peer keeps: more than a synthetic guest's vmdescription. */
const TAIL_BYTES = 64 * 1024;
/** End mark, then a vmdescription: type byte, u32 length, JSON. */
const END = /\0\x06([\s\S]{4})\{/g;

/** The behaviour of a peer on a connection: called once when it is accepted. */
export type Behaviour = (socket: net.Socket, peer: Peer) => void;

export class Peer {
  /** The address for a source. */
  uri: string;
  /** The received bytes of all connections. */
  received = 0;
  connections = 0;
  readonly #waiting = new Set<{ readonly holds: () => boolean; readonly resolve: () => void }>();
  #tail = Buffer.alloc(0);
  #socket: net.Socket | null = null;

  constructor(uri: string) {
    this.uri = uri;
  }

  /** The newest connection. */
  get socket(): net.Socket {
    if (this.#socket === null) throw new Error('nobody has connected');
    return this.#socket;
  }

  connected(socket: net.Socket): void {
    this.connections += 1;
    this.#socket = socket;
    this.#look();
  }

  take(chunk: Buffer): void {
    this.received += chunk.length;
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
    this.#look();
  }

  /** Resolves when a source has connected and so many bytes have arrived. */
  has(bytes: number): Promise<void> {
    return this.#until(() => this.connections > 0 && this.received >= bytes);
  }

  /** Resolves when a complete stream has arrived, including its vmdescription. */
  hasAll(): Promise<void> {
    return this.#until(() => {
      const text = this.#tail.toString('latin1');
      return [...text.matchAll(END)].some(
        ({ index }) => index + 6 + this.#tail.readUInt32BE(index + 2) === text.length,
      );
    });
  }

  #until(holds: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add({ holds, resolve });
    this.#look();
    return promise;
  }

  #look(): void {
    for (const waiting of this.#waiting) {
      if (!waiting.holds()) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** Reads all data of the newest connection. */
  read(): void {
    this.socket.on('data', (chunk) => this.take(chunk)).resume();
  }

  /** Ends the newest connection in order (FIN) or not (RST, or a close for pipes, which have no RST). */
  hangUp(how: 'FIN' | 'RST'): void {
    if (how === 'FIN' && this.socket.writable) this.socket.end();
    else breakOff(this.socket);
  }
}

/** A peer that listens on a free port. Without a behaviour it reads everything and sends nothing. */
export async function openPeer(
  behaviour: Behaviour = () => {},
  { reads = true, transport = 'tcp' }: { readonly reads?: boolean; readonly transport?: SocketTransport } = {},
): Promise<Peer> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const where = transport === 'tcp' ? { host: '127.0.0.1', port: 0 } : { path: socketPath() };
  await new Promise<void>((resolve) => server.listen(where, resolve));
  const bound = server.address() as AddressInfo | string;
  const peer = new Peer(typeof bound === 'string' ? `unix:${bound}` : `tcp:127.0.0.1:${bound.port}`);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    peer.connected(socket);
    if (reads) peer.read();
    behaviour(socket, peer);
  });
  return peer;
}

/** A port of this host without a listener. */
export async function closedPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
