import { existsSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import type { MigrationAddress, TransferError } from '../../domain/transfer-port.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/byte-reader.ts';
import { decodeHeader } from '../stream/configuration.ts';
import { channelError, type IncomingChannel } from './channel.ts';
import { readInto } from './read-into.ts';
import { SocketIncomingChannel } from './socket-incoming.ts';
import { removeStaleSocket } from './stale-socket.ts';

/** Connections that have not shown a whole header, at most; one more drops the oldest. */
const WAITING_MAX = 16;
/** Senders that wait behind the one whose stream is read, at most; one more is refused. */
const QUEUE_MAX = 16;
const KEEP_ALIVE_MS = 10_000;

type SocketAddress = Extract<MigrationAddress, { transport: 'tcp' | 'unix' }>;

/** Who hears of the next connection. */
export type SenderHandlers = {
  /** A connection has shown a stream's header: it is the sender, and nobody else hears of another before `take`. */
  readonly accepted: (channel: IncomingChannel) => void;
  /** A connection sent something else, or not a whole header in time; the listener goes on. Called once for a `take`. */
  readonly rejected: (error: TransferError) => void;
};

/**
 * Listens for senders, one at a time. A connection becomes the sender when it has sent the header of a stream. One that
 * closes without a byte (a probe) is forgotten; one that sends anything else is closed, and the first such is reported.
 * Connections that come while a sender is served wait, up to QUEUE_MAX, until `take` is called again or the listener is
 * closed.
 */
export class SocketListener {
  readonly #server: net.Server;
  readonly #name: string;
  readonly #headerMs: number;
  readonly #waiting = new Set<SocketIncomingChannel>();
  readonly #queue: SocketIncomingChannel[] = [];
  #handlers: SenderHandlers | null = null;
  #hasRejected = false;

  /** `headerMs`: how long a connection may take from its first byte to a whole header. */
  constructor(name: string, headerMs: number) {
    this.#name = name;
    this.#headerMs = headerMs;
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
  async listen(address: SocketAddress): Promise<MigrationAddress> {
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

  /** The next sender is given to `handlers`: at once, where one waits already. */
  take(handlers: SenderHandlers): void {
    this.#hasRejected = false;
    const next = this.#queue.shift();
    if (next === undefined) this.#handlers = handlers;
    else handlers.accepted(next);
  }

  /** Stops to listen and refuses whoever waits; a sender that was accepted is not touched. */
  close(): void {
    this.#handlers = null;
    this.#server.close();
    for (const channel of [...this.#waiting, ...this.#queue]) channel.reset();
    this.#waiting.clear();
    this.#queue.length = 0;
  }

  #bind(address: SocketAddress): Promise<void> {
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
  #bindError(error: unknown, address: SocketAddress): TransferError {
    const isFolderThere = address.transport !== 'unix' || existsSync(dirname(address.path));
    if (isFolderThere) return channelError(error, this.#name);
    return { code: 'no_such_file', message: `${this.#name}: the folder is not there` };
  }

  #connected(socket: net.Socket): void {
    const [oldest] = this.#waiting;
    if (oldest !== undefined && this.#waiting.size >= WAITING_MAX) {
      this.#waiting.delete(oldest);
      oldest.reset();
    }
    let begunBytes = 0;
    let timer: NodeJS.Timeout | null = null;
    const settle = (): boolean => {
      if (timer !== null) clearTimeout(timer);
      return this.#waiting.delete(channel);
    };
    const reject = (error: TransferError): void => {
      if (!settle()) return;
      channel.reset();
      this.#reject(error);
    };
    const open = (buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void) =>
      readInto(socket, buffer, received);
    const channel = new SocketIncomingChannel(open, this.#name, (bytes) => {
      begunBytes = bytes.length;
      timer ??= setTimeout(() => reject(headerLate(begunBytes, this.#headerMs)), this.#headerMs);
      const seen = judge(bytes);
      if (seen === 'unfinished') return 'more';
      if (seen === 'header') settle() && this.#show(channel);
      else reject(seen);
      return 'enough';
    });
    this.#waiting.add(channel);
    channel.onEnd((error) => {
      if (begunBytes > 0) reject(error === null ? headerCut(begunBytes) : atHeader(error, begunBytes));
      else if (settle()) channel.reset();
    });
  }

  /** A connection has shown a header. */
  #show(channel: SocketIncomingChannel): void {
    const handlers = this.#handlers;
    if (handlers !== null) {
      this.#handlers = null;
      handlers.accepted(channel);
    } else if (this.#server.listening && this.#queue.length < QUEUE_MAX) {
      this.#queue.push(channel);
    } else {
      channel.reset();
    }
  }

  #reject(error: TransferError): void {
    if (this.#hasRejected) return;
    this.#hasRejected = true;
    this.#handlers?.rejected(error);
  }
}

/** What the first bytes of a connection are. */
function judge(bytes: Uint8Array): 'header' | 'unfinished' | TransferError {
  try {
    decodeHeader(new ByteReader(bytes));
    return 'header';
  } catch (error) {
    if (error instanceof IncompleteError) return 'unfinished';
    if (!(error instanceof StreamError)) throw error;
    const { code, message } = error.at(0);
    return { code, message };
  }
}

function headerCut(count: number): TransferError {
  const { code, message } = new StreamError('stream_truncated', 'the stream ends too early, in its header', count);
  return { code, message };
}

function headerLate(count: number, headerMs: number): TransferError {
  const message = `nothing whole came for ${headerMs} ms (at byte ${count} of the stream, in its part 'header')`;
  return { code: 'deadline_exceeded', message };
}

function atHeader({ code, message }: TransferError, count: number): TransferError {
  return { code, message: `${message} (at byte ${count} of the stream, in its part 'header')` };
}
