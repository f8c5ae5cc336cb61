import type net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MigrationAddress, TransferError } from '../../domain/ports/migration-session.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/bytes.ts';
import { decodeHeader } from '../stream/configuration.ts';
import type { IncomingChannel } from './channel.ts';
import { readInto } from './socket-handle.ts';
import { SocketIncomingChannel } from './socket-incoming.ts';
import { type SocketAddress, SocketServer } from './socket-server.ts';

/** Connections without a whole header, at most; one more closes the oldest. */
const WAITING_MAX = 16;
/** Senders that wait while the stream of another is read, at most; one more is refused. */
const QUEUE_MAX = 16;
/** Turns of the event loop after which every connection has been accepted that was made before them. */
const ACCEPT_TURNS = 2;
/** A further connection of the accepted sender shows that at once; other connections are refused after this time. */
const BELONGS_MS = 500;

/** Who hears of the next connection. */
export type SenderHandlers = {
  /** A connection has shown a stream's header: it is the sender, and nobody else hears of another before `take`. */
  readonly accepted: (channel: IncomingChannel) => void;
  /** A connection sent something else, or not a whole header in time; the listener goes on. Called once for a `take`. */
  readonly rejected: (error: TransferError) => void;
  /**
   * Another connection of the sender that was accepted shows that its stream is not whole: what is missing goes over
   * that connection. May be called more than once.
   */
  readonly divided: (error: TransferError) => void;
};

/**
 * Listens for senders, one at a time. A connection becomes the sender when it has sent the header of a stream. One that
 * closes without a byte (a probe) is forgotten; one that sends anything else is closed, and the first such is reported.
 * Connections that come while a sender is served wait, up to QUEUE_MAX, until `take` is called again or the listener is
 * closed.
 */
export class SocketListener {
  readonly #server: SocketServer;
  readonly #name: string;
  readonly #headerMs: number;
  readonly #waiting = new Set<SocketIncomingChannel>();
  readonly #queue: SocketIncomingChannel[] = [];
  #handlers: SenderHandlers | null = null;
  /** The sender that was accepted last, by its host. */
  #served: { readonly host: string | undefined; readonly divided: SenderHandlers['divided'] } | null = null;
  /** Where each connection comes from; undefined for a unix socket. */
  readonly #hosts = new WeakMap<IncomingChannel, string | undefined>();
  #hasRejected = false;

  /** `headerMs`: how long a connection may take from its first byte to a whole header. */
  constructor(name: string, headerMs: number) {
    this.#name = name;
    this.#headerMs = headerMs;
    this.#server = new SocketServer(name, (socket) => this.#connected(socket));
  }

  /** Resolves with the address and where it is bound. Rejects with a TransferError; nothing is bound then. */
  listen(address: SocketAddress): Promise<MigrationAddress> {
    return this.#server.listen(address);
  }

  /** The next sender is given to `handlers`: at once, where one waits already. */
  take(handlers: SenderHandlers): void {
    this.#hasRejected = false;
    this.#served = null;
    const next = this.#queue.shift();
    if (next === undefined) this.#handlers = handlers;
    else this.#serve(next, handlers);
  }

  /**
   * Listens no more, behind a sender that was accepted. Connections that came before are still looked at: they may belong
   * to that sender. One that shows a header is refused.
   */
  async acceptNoMore(): Promise<void> {
    // The system may hold connections that have not been accepted yet.
    for (let turn = 0; turn < ACCEPT_TURNS; turn += 1) await nextTurn();
    this.#server.close();
    for (const channel of this.#queue.splice(0)) channel.reset();
    setTimeout(() => this.#resetWaiting(), BELONGS_MS).unref();
  }

  #resetWaiting(): void {
    for (const channel of this.#waiting) channel.reset();
    this.#waiting.clear();
  }

  /** Stops to listen and refuses whoever waits; a sender that was accepted is not touched. */
  close(): void {
    this.#handlers = null;
    this.#served = null;
    this.#server.close();
    this.#resetWaiting();
    for (const channel of this.#queue.splice(0)) channel.reset();
  }

  #connected(socket: net.Socket): void {
    const [oldest] = this.#waiting;
    if (oldest !== undefined && this.#waiting.size >= WAITING_MAX) {
      this.#waiting.delete(oldest);
      oldest.reset();
    }
    const host = socket.remoteAddress;
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
      if (error.code === 'capability_differs') this.#refuseSender(host, error);
    };
    const open = (buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void) =>
      readInto(socket, buffer, received);
    const channel = new SocketIncomingChannel(open, this.#name, (bytes) => {
      begunBytes = bytes.length;
      // What came while this process was stopped is read first.
      timer ??= setTimeout(() => setImmediate(() => reject(headerLate(begunBytes, this.#headerMs))), this.#headerMs);
      const seen = judge(bytes);
      if (seen === 'unfinished') return 'more';
      if (seen === 'header') settle() && this.#show(channel);
      else reject(seen);
      return 'enough';
    });
    this.#hosts.set(channel, host);
    this.#waiting.add(channel);
    channel.onEnd((error) => {
      if (begunBytes > 0) reject(error === null ? headerCut(begunBytes) : atHeader(error, begunBytes));
      else if (settle()) channel.reset();
    });
  }

  #show(channel: SocketIncomingChannel): void {
    const handlers = this.#handlers;
    if (handlers !== null) {
      this.#handlers = null;
      this.#serve(channel, handlers);
    } else if (this.#server.isListening && this.#queue.length < QUEUE_MAX) {
      this.#queue.push(channel);
    } else {
      channel.reset();
    }
  }

  #serve(channel: SocketIncomingChannel, { accepted, divided }: SenderHandlers): void {
    this.#served = { host: this.#hosts.get(channel), divided };
    accepted(channel);
  }

  /**
   * A sender at this host has opened a further channel of multifd. Its main channel was opened before, so it is among the
   * connections that are here: without the further channels its stream lacks most of RAM, and may not even show that.
   */
  #refuseSender(host: string | undefined, error: TransferError): void {
    const isOfSender = (channel: SocketIncomingChannel): boolean => this.#hosts.get(channel) === host;
    for (const channel of [...this.#waiting].filter(isOfSender)) {
      this.#waiting.delete(channel);
      channel.reset();
    }
    for (const channel of this.#queue.filter(isOfSender)) {
      this.#queue.splice(this.#queue.indexOf(channel), 1);
      channel.reset();
    }
    if (this.#served?.host === host) this.#served?.divided(error);
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
