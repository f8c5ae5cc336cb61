import { existsSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import type { MigrationAddress, TransferError } from '../../domain/transfer-port.ts';
import { breakOff } from './break-off.ts';
import { channelError, type IncomingChannel } from './channel.ts';
import { readInto } from './read-into.ts';
import { removeStaleSocket } from './stale-socket.ts';

/** Connections that may wait for their first byte at the same time; one more drops the oldest. */
const WAITING_MAX = 16;
/** The first read of a connection goes here: large enough for any stream's beginning. */
const FIRST_BYTES = 4096;
const KEEP_ALIVE_MS = 10_000;

/**
 * Listens for one sender. The first connection that sends a byte is the sender; the listener closes then, and all
 * others are refused. A connection that closes without a byte (a port scan, a probe) is forgotten.
 */
export class SocketListener {
  readonly #server: net.Server;
  readonly #name: string;
  readonly #waiting = new Set<SocketIncomingChannel>();
  #accepted: ((channel: IncomingChannel) => void) | null = null;

  constructor(name: string) {
    this.#name = name;
    this.#server = net.createServer({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      allowHalfOpen: true,
      pauseOnConnect: true,
    });
    this.#server.on('connection', (socket) => this.#connected(socket));
  }

  /** Resolves with the bound address. Rejects with a TransferError. */
  async listen(address: Extract<MigrationAddress, { transport: 'tcp' | 'unix' }>): Promise<MigrationAddress> {
    try {
      await this.#bind(address);
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      const isFree = isTaken && address.transport === 'unix' && (await removeStaleSocket(address.path));
      if (!isFree) throw this.#bindError(error, address);
      await this.#bind(address);
    }
    // An accept that fails later (no descriptors left) concerns that connection alone.
    this.#server.on('error', () => {});
    const bound = this.#server.address();
    if (address.transport === 'unix' || bound === null || typeof bound === 'string') return address;
    return { transport: 'tcp', host: address.host, port: bound.port };
  }

  #bind(address: Extract<MigrationAddress, { transport: 'tcp' | 'unix' }>): Promise<void> {
    const where = address.transport === 'tcp' ? { host: address.host, port: address.port } : { path: address.path };
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen({ ...where, exclusive: true }, () => {
      this.#server.off('error', reject);
      resolve();
    });
    return promise;
  }

  /** Node says of a folder that is not there what it says of one that may not be written. */
  #bindError(error: unknown, address: Parameters<SocketListener['listen']>[0]): TransferError {
    const isFolderThere = address.transport !== 'unix' || existsSync(dirname(address.path));
    if (isFolderThere) return channelError(error, this.#name);
    return { code: 'no_such_file', message: `${this.#name}: the folder is not there` };
  }

  onSender(listener: (channel: IncomingChannel) => void): void {
    this.#accepted = listener;
  }

  close(): void {
    this.#server.close();
    for (const channel of this.#waiting) channel.reset();
    this.#waiting.clear();
  }

  #connected(socket: net.Socket): void {
    if (this.#accepted === null) {
      socket.destroy();
      return;
    }
    const [oldest] = this.#waiting;
    if (oldest !== undefined && this.#waiting.size >= WAITING_MAX) {
      this.#waiting.delete(oldest);
      oldest.reset();
    }
    const channel: SocketIncomingChannel = new SocketIncomingChannel(socket, this.#name, () => this.#chosen(channel));
    this.#waiting.add(channel);
    channel.onEnd(() => {
      this.#waiting.delete(channel);
      channel.reset();
    });
  }

  #chosen(channel: SocketIncomingChannel): void {
    const accepted = this.#accepted;
    if (accepted === null) return;
    this.#accepted = null;
    this.#waiting.delete(channel);
    this.close();
    accepted(channel);
  }
}

/** A connected socket. It begins to read at once; what comes first is kept until `read` is called. */
export class SocketIncomingChannel implements IncomingChannel {
  readonly #socket: net.Socket;
  readonly #onFirst: () => void;
  readonly #first = new Uint8Array(new SharedArrayBuffer(FIRST_BYTES));
  #firstCount = 0;
  #reader: { buffer: () => Uint8Array<SharedArrayBuffer>; received: (count: number) => void } | null = null;
  #ended: ((error: TransferError | null) => void) | null = null;
  #outcome: { error: TransferError | null } | null = null;

  constructor(connected: net.Socket, name: string, onFirst: () => void = () => {}) {
    this.#onFirst = onFirst;
    this.#socket = readInto(
      connected,
      () => this.#buffer(),
      (count) => this.#received(count),
    );
    this.#socket.on('error', (error) => this.#end(channelError(error, name)));
    this.#socket.on('end', () => this.#end(null));
    this.#socket.on('close', () => this.#end({ code: 'peer_closed', message: `${name}: the connection was closed` }));
  }

  read(buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void): void {
    this.#reader = { buffer, received };
    if (this.#firstCount > 0) {
      buffer().set(this.#first.subarray(0, this.#firstCount));
      received(this.#firstCount);
    }
    this.#socket.resume();
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
    this.#reader = { buffer: () => this.#first, received: () => {} };
    this.#socket.end();
  }

  reset(): void {
    this.#ended = null;
    this.#reader = { buffer: () => this.#first, received: () => {} };
    breakOff(this.#socket);
  }

  #buffer(): Uint8Array<SharedArrayBuffer> {
    return this.#reader === null ? this.#first : this.#reader.buffer();
  }

  #received(count: number): void {
    if (this.#reader !== null) {
      this.#reader.received(count);
      return;
    }
    this.#firstCount = count;
    this.#socket.pause();
    this.#onFirst();
  }

  #end(error: TransferError | null): void {
    if (this.#outcome !== null) return;
    this.#outcome = { error };
    this.#ended?.(error);
  }
}
