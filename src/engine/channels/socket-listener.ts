import { lookup } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MigrationAddress, TcpAddress, TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type IncomingChannel } from './channel.ts';
import { atHeader, headerCut, headerLate, judge } from './peer-protocol.ts';
import { readInto } from './socket-handle.ts';
import { SocketIncomingChannel } from './socket-incoming.ts';
import { removeStaleSocket } from './stale-socket.ts';

/** Connections that have not shown a whole header, at most; one more drops the oldest. */
const WAITING_MAX = 16;
/** Senders that wait behind the one whose stream is read, at most; one more is refused. */
const QUEUE_MAX = 16;
const KEEP_ALIVE_MS = 10_000;
/** Turns of the event loop after which every connection has been accepted that was made before them. */
const ACCEPT_TURNS = 2;
/** A connection that belongs to the sender that was accepted shows that at once; others are refused after this long. */
const BELONGS_MS = 500;

type SocketAddress = Extract<MigrationAddress, { transport: 'tcp' | 'unix' }>;

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
  /** One for each address of the host. */
  readonly #servers: net.Server[] = [];
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
  }

  /** Resolves with the address and where it is bound. Rejects with a TransferError; nothing is listened on then. */
  async listen(address: SocketAddress): Promise<MigrationAddress> {
    try {
      if (address.transport === 'tcp') return await this.#listenTcp(address);
      await this.#bindUnix(address.path);
      return address;
    } catch (error) {
      throw this.#bindError(error, address);
    }
  }

  async #bindUnix(path: string): Promise<void> {
    try {
      await this.#bind({ path });
    } catch (error) {
      if (!isTaken(error) || !(await removeStaleSocket(path))) throw error;
      await this.#bind({ path });
    }
  }

  /** The first port of the range that is free at all addresses of the host. */
  async #listenTcp(address: TcpAddress): Promise<MigrationAddress> {
    const places = await placesOf(address);
    for (let port = address.port; ; port++) {
      try {
        const bound = await this.#bindAll(places, { port, isKeptAlive: address.keepAlive !== false });
        return { ...address, port: bound[0]?.port ?? port, bound };
      } catch (error) {
        this.#closeServers();
        if (!isTaken(error) || port >= (address.portMax ?? port)) throw error;
      }
    }
  }

  async #bindAll(places: readonly Place[], { port, isKeptAlive }: { port: number; isKeptAlive: boolean }) {
    const bound: { host: string; port: number }[] = [];
    for (const { host, isAny, ipv6Only } of places) {
      const where = { host, port: bound[0]?.port ?? port, ipv6Only };
      const server = await this.#bind(where, isKeptAlive).catch((error: unknown) => {
        // A host without IPv6 has every interface all the same.
        if (isAny && !isTaken(error)) return this.#bind({ ...where, host: ANY_4 }, isKeptAlive);
        throw error;
      });
      const at = server.address() as net.AddressInfo;
      bound.push({ host: at.address, port: at.port });
      if (isAny && at.address === ANY_6) bound.push({ host: ANY_4, port: at.port });
    }
    return bound;
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
    this.#closeServers();
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
    this.#closeServers();
    this.#resetWaiting();
    for (const channel of this.#queue.splice(0)) channel.reset();
  }

  #bind(where: net.ListenOptions, isKeptAlive = true): Promise<net.Server> {
    const server = net.createServer({
      noDelay: true,
      keepAlive: isKeptAlive,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      allowHalfOpen: true,
      pauseOnConnect: true,
    });
    server.on('connection', (socket) => this.#connected(socket));
    const { promise, resolve, reject } = Promise.withResolvers<net.Server>();
    server.once('error', reject);
    server.listen({ ...where, exclusive: true }, () => {
      server.off('error', reject);
      // An accept that fails later (no descriptors left) concerns that connection alone.
      server.on('error', () => {});
      this.#servers.push(server);
      resolve(server);
    });
    return promise;
  }

  #closeServers(): void {
    for (const server of this.#servers.splice(0)) server.close();
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
    } else if (this.#servers.length > 0 && this.#queue.length < QUEUE_MAX) {
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

const ANY_6 = '::';
const ANY_4 = '0.0.0.0';

/** Something to listen on. `isAny`: every interface, by one socket of both families. */
type Place = { readonly host: string; readonly isAny: boolean; readonly ipv6Only: boolean };

/** Every address that the host's name stands for, as QEMU listens on all of them. */
async function placesOf({ host, family }: TcpAddress): Promise<Place[]> {
  const ipv6Only = family === 6;
  if (host === '') return [{ host: family === 4 ? ANY_4 : ANY_6, isAny: family === undefined, ipv6Only }];
  const found = await lookup(host, { all: true, ...(family !== undefined && { family }) });
  const hosts = [...new Set(found.map(({ address }) => address))];
  return hosts.map((one) => ({ host: one, isAny: false, ipv6Only: ipv6Only || hosts.length > 1 }));
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}
