import net from 'node:net';
import type { MigrationAddress, TransferError } from '../../domain/ports.ts';
import { channelError, type IncomingChannel } from './channel.ts';

/** Connections that may wait for their first byte at the same time; more are refused. */
const WAITING_MAX = 16;
const KEEP_ALIVE_MS = 10_000;

/**
 * Listens for one sender. The first connection that sends a byte is the sender; the listener closes then, and all
 * others are refused. A connection that closes without a byte (a port scan, a probe) is forgotten.
 */
export class SocketListener {
  readonly #server: net.Server;
  readonly #name: string;
  readonly #waiting = new Set<net.Socket>();
  #accepted: ((channel: IncomingChannel) => void) | null = null;

  constructor(name: string) {
    this.#name = name;
    this.#server = net.createServer({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      allowHalfOpen: true,
    });
    this.#server.on('connection', (socket) => this.#connected(socket));
  }

  /** Resolves with the bound address. Rejects with a TransferError. */
  listen(address: Extract<MigrationAddress, { transport: 'tcp' | 'unix' }>): Promise<MigrationAddress> {
    const { promise, resolve, reject } = Promise.withResolvers<MigrationAddress>();
    this.#server.once('error', (error) => reject(channelError(error, this.#name)));
    const where = address.transport === 'tcp' ? { host: address.host, port: address.port } : { path: address.path };
    this.#server.listen({ ...where, exclusive: true }, () => {
      const bound = this.#server.address();
      if (address.transport === 'tcp' && bound !== null && typeof bound === 'object') {
        resolve({ transport: 'tcp', host: address.host, port: bound.port });
      } else {
        resolve(address);
      }
    });
    return promise;
  }

  onSender(listener: (channel: IncomingChannel) => void): void {
    this.#accepted = listener;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting.clear();
  }

  #connected(socket: net.Socket): void {
    if (this.#waiting.size >= WAITING_MAX || this.#accepted === null) {
      socket.destroy();
      return;
    }
    this.#waiting.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#waiting.delete(socket));
    socket.on('end', () => socket.destroy());
    socket.once('readable', () => {
      const first = socket.read() as Buffer | null;
      if (first === null || this.#accepted === null) return;
      const accepted = this.#accepted;
      this.#accepted = null;
      this.#waiting.delete(socket);
      this.close();
      socket.removeAllListeners();
      accepted(new SocketIncomingChannel(socket, first, this.#name));
    });
  }
}

/** `first` is what was read while the connection was waiting. */
export class SocketIncomingChannel implements IncomingChannel {
  readonly #socket: net.Socket;
  readonly #name: string;
  #first: Uint8Array;
  #ended: ((error: TransferError | null) => void) | null = null;
  #outcome: { error: TransferError | null } | null = null;

  constructor(accepted: net.Socket, first: Uint8Array, name: string) {
    this.#socket = accepted;
    this.#first = first;
    this.#name = name;
    accepted.on('error', (error) => this.#end(channelError(error, name)));
    accepted.on('end', () => this.#end(null));
    accepted.on('close', () => this.#end({ code: 'peer_closed', message: `${name}: the connection was closed` }));
  }

  read(buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void): void {
    this.#deliver(this.#first, buffer, received);
    this.#first = new Uint8Array();
    this.#socket.on('data', (chunk: Buffer) => this.#deliver(chunk, buffer, received));
  }

  onEnd(listener: (error: TransferError | null) => void): void {
    this.#ended = listener;
    if (this.#outcome !== null) listener(this.#outcome.error);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#ended = null;
    this.#socket.removeAllListeners('data');
    this.#socket.resume();
    this.#socket.end();
  }

  reset(): void {
    this.#ended = null;
    this.#socket.removeAllListeners('data');
    this.#socket.resetAndDestroy();
  }

  #deliver(chunk: Uint8Array, buffer: () => Uint8Array, received: (count: number) => void): void {
    let left = chunk;
    while (left.length > 0) {
      const into = buffer();
      const count = Math.min(into.length, left.length);
      into.set(left.subarray(0, count));
      received(count);
      left = left.subarray(count);
    }
  }

  #end(error: TransferError | null): void {
    if (this.#outcome !== null) return;
    this.#outcome = { error };
    this.#ended?.(error);
  }
}
