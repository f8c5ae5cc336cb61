import type net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MigrationAddress, TransferError } from '../../domain/ports/migration-session.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/bytes.ts';
import { decodeHeader } from '../stream/configuration.ts';
import type { IncomingChannel } from './channel.ts';
import { readInto } from './socket-handle.ts';
import { SocketIncomingChannel } from './socket-incoming.ts';
import { type SocketAddress, SocketServer } from './socket-server.ts';

/** Connections whose kind is not known yet, at most; one more closes the oldest. */
const WAITING_MAX = 16;
/** Channels that wait until a sender is taken to which they belong, at most; one more is refused. */
const QUEUE_MAX = 16;
/** Turns of the event loop after which every connection has been accepted that was made before them. */
const ACCEPT_TURNS = 2;
/** A further connection of the accepted sender shows that at once; other connections are refused after this time. */
const BELONGS_MS = 500;

/** A kind of channel. The first bytes of a connection show its kind. */
export type ChannelKind = {
  /** Whether a connection that begins with `bytes` is of this kind; an error says why it is not. */
  readonly recognise: (bytes: Uint8Array) => 'yes' | 'unfinished' | TransferError;
};

/** The channel that a stream comes over: it begins with the header of a stream. */
export const MAIN_CHANNEL: ChannelKind = { recognise: recogniseHeader };

/** So many channels of a kind. */
export type WantedChannels = { readonly kind: ChannelKind; readonly count: number };

/** What a session wants of the next sender, and how it hears of it. */
export type SenderHandlers = {
  /** The channels of one sender. Its first channel is of the first kind; the others come from the same host. */
  readonly wanted: readonly WantedChannels[];
  /** A wanted channel of the sender has come. Called once for each of them. */
  readonly accepted: (channel: IncomingChannel, kind: ChannelKind) => void;
  /** All wanted channels have come. */
  readonly complete: () => void;
  /**
   * A connection sent something else, or not enough in time; the listener goes on. Called at most once, and only before
   * the first channel.
   */
  readonly rejected: (error: TransferError) => void;
  /**
   * Another connection of the sender shows that parts of its machine are sent over a channel that is not wanted. May
   * be called more than once.
   */
  readonly divided: (error: TransferError) => void;
};

/** A connection whose kind is known. `host`: where it comes from; undefined for a unix socket. */
type Arrival = {
  readonly channel: SocketIncomingChannel;
  readonly kind: ChannelKind;
  readonly host: string | undefined;
};

/** A session and its sender, as far as that has come. */
type Sender = {
  readonly handlers: SenderHandlers;
  /** How many channels of each kind are missing. */
  readonly missing: Map<ChannelKind, number>;
  /** Host of the first channel; null before it has come. */
  host: { readonly name: string | undefined } | null;
};

/**
 * Listens for senders, one at a time, and gives a session the number and kinds of channels that it wants. The first bytes
 * of a connection decide its kind. A connection that closes without a byte (a probe) is forgotten; one of no wanted
 * kind is closed, and the first such is reported. A channel that the present session does not want waits, up to
 * QUEUE_MAX, until a later `take` wants it or the listener is closed.
 */
export class SocketListener {
  readonly #server: SocketServer;
  readonly #name: string;
  readonly #headerMs: number;
  /** Connections whose kind is not known yet, with their hosts. */
  readonly #waiting = new Map<SocketIncomingChannel, string | undefined>();
  #queue: Arrival[] = [];
  /** Kinds that are recognised: those that the last session wanted. */
  #kinds: readonly ChannelKind[] = [MAIN_CHANNEL];
  #sender: Sender | null = null;
  #hasRejected = false;

  /** @param headerMs how long a connection may take from its first byte until its kind is known; milliseconds. */
  constructor(name: string, headerMs: number) {
    this.#name = name;
    this.#headerMs = headerMs;
    this.#server = new SocketServer(name, (socket) => this.#connected(socket));
  }

  /** Resolves with the address and where it is bound. Rejects with a TransferError; nothing is bound then. */
  listen(address: SocketAddress): Promise<MigrationAddress> {
    return this.#server.listen(address);
  }

  /** Gives the next sender to `handlers`: at once if its channels wait already. */
  take(handlers: SenderHandlers): void {
    this.#hasRejected = false;
    this.#kinds = handlers.wanted.map(({ kind }) => kind);
    this.#sender = { handlers, missing: new Map(handlers.wanted.map(({ kind, count }) => [kind, count])), host: null };
    this.#offerQueue();
  }

  /**
   * Stops to listen when a sender is complete. Connections that came before are still read: they may show that the
   * sender has further channels. Those of other senders are refused.
   */
  async acceptNoMore(): Promise<void> {
    // The system may hold connections that have not been accepted yet.
    for (let turn = 0; turn < ACCEPT_TURNS; turn += 1) await nextTurn();
    this.#server.close();
    this.#resetQueue();
    setTimeout(() => this.#resetWaiting(), BELONGS_MS).unref();
  }

  /** Stops to listen and refuses all connections that wait. Channels that a session has are not touched. */
  close(): void {
    this.#sender = null;
    this.#server.close();
    this.#resetWaiting();
    this.#resetQueue();
  }

  #resetWaiting(): void {
    for (const channel of this.#waiting.keys()) channel.reset();
    this.#waiting.clear();
  }

  #resetQueue(): void {
    for (const { channel } of this.#queue.splice(0)) channel.reset();
  }

  #connected(socket: net.Socket): void {
    const [oldest] = this.#waiting.keys();
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
      const seen = this.#kindOf(bytes);
      if (seen === 'unfinished') return 'more';
      if ('recognise' in seen) settle() && this.#arrived({ channel, kind: seen, host });
      else reject(seen);
      return 'enough';
    });
    this.#waiting.set(channel, host);
    channel.onEnd((error) => {
      if (begunBytes > 0) reject(error === null ? headerCut(begunBytes) : atHeader(error, begunBytes));
      else if (settle()) channel.reset();
    });
  }

  /** The kind of a connection that begins with `bytes`; the error of the first kind if it is of none. */
  #kindOf(bytes: Uint8Array): ChannelKind | 'unfinished' | TransferError {
    const verdicts = this.#kinds.map((kind) => ({ kind, verdict: kind.recognise(bytes) }));
    const found = verdicts.find(({ verdict }) => verdict === 'yes');
    if (found !== undefined) return found.kind;
    const error = verdicts[0]?.verdict;
    if (error === undefined || typeof error === 'string') return 'unfinished';
    return verdicts.some(({ verdict }) => verdict === 'unfinished') ? 'unfinished' : error;
  }

  #arrived(arrival: Arrival): void {
    if (this.#offer(arrival)) this.#offerQueue();
    else if (this.#server.isListening && this.#queue.length < QUEUE_MAX) this.#queue.push(arrival);
    else arrival.channel.reset();
  }

  /** Gives the session what it wants of the queue. A main channel may make further channels before it wanted. */
  #offerQueue(): void {
    for (let found = true; found; ) {
      const index = this.#queue.findIndex((arrival) => this.#isWanted(arrival));
      const [next] = index < 0 ? [] : this.#queue.splice(index, 1);
      found = next !== undefined && this.#offer(next);
    }
  }

  #isWanted({ kind, host }: Arrival): boolean {
    const sender = this.#sender;
    if (sender === null || (sender.missing.get(kind) ?? 0) === 0) return false;
    return sender.host === null ? kind === sender.handlers.wanted[0]?.kind : sender.host.name === host;
  }

  /** @returns whether the session has taken the channel. */
  #offer(arrival: Arrival): boolean {
    const sender = this.#sender;
    if (sender === null || !this.#isWanted(arrival)) return false;
    const { channel, kind, host } = arrival;
    sender.host ??= { name: host };
    sender.missing.set(kind, (sender.missing.get(kind) ?? 0) - 1);
    sender.handlers.accepted(channel, kind);
    if ([...sender.missing.values()].every((count) => count === 0)) sender.handlers.complete();
    return true;
  }

  /**
   * The sender at this host has opened a channel of multifd, which is not wanted. Its main channel was opened before, so it
   * is among the connections that are here. Without the further channels its stream lacks most of RAM.
   */
  #refuseSender(host: string | undefined, error: TransferError): void {
    for (const [channel, from] of [...this.#waiting]) {
      if (from !== host) continue;
      this.#waiting.delete(channel);
      channel.reset();
    }
    const isOfSender = (arrival: Arrival): boolean => arrival.host === host;
    const refused = this.#queue.filter(isOfSender);
    this.#queue = this.#queue.filter((arrival) => !isOfSender(arrival));
    for (const { channel } of refused) channel.reset();
    const sender = this.#sender;
    if (sender !== null && sender.host !== null && sender.host.name === host) sender.handlers.divided(error);
  }

  #reject(error: TransferError): void {
    if (this.#hasRejected) return;
    this.#hasRejected = true;
    if (this.#sender?.host === null) this.#sender.handlers.rejected(error);
  }
}

function recogniseHeader(bytes: Uint8Array): 'yes' | 'unfinished' | TransferError {
  try {
    decodeHeader(new ByteReader(bytes));
    return 'yes';
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
