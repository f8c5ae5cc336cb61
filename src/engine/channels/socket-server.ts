import { lookup } from 'node:dns/promises';
import { existsSync, lstatSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import type { MigrationAddress, TcpAddress, TransferError } from '../../domain/ports/migration-session.ts';
import { channelError } from './channel.ts';

const KEEP_ALIVE_MS = 10_000;

export type SocketAddress = Extract<MigrationAddress, { transport: 'tcp' | 'unix' }>;

/** The listening sockets of one address: a host name may have several addresses. Each connection is passed on paused. */
export class SocketServer {
  /** One for each address of the host. */
  readonly #servers: net.Server[] = [];
  readonly #name: string;
  readonly #connected: (socket: net.Socket) => void;

  /**
   * @param name the address, for error messages.
   * @param connected called for each connection; it has not been read yet.
   */
  constructor(name: string, connected: (socket: net.Socket) => void) {
    this.#name = name;
    this.#connected = connected;
  }

  /** False before `listen` and after `close`. */
  get isListening(): boolean {
    return this.#servers.length > 0;
  }

  /** Resolves with the address and where it is bound. Rejects with a TransferError; nothing is bound then. */
  async listen(address: SocketAddress): Promise<MigrationAddress> {
    try {
      if (address.transport === 'tcp') return await this.#listenTcp(address);
      await this.#bindUnix(address.path);
      return address;
    } catch (error) {
      throw this.#bindError(error, address);
    }
  }

  close(): void {
    for (const server of this.#servers.splice(0)) server.close();
  }

  async #bindUnix(path: string): Promise<void> {
    try {
      await this.#bind({ path });
    } catch (error) {
      if (!isTaken(error) || !(await removeStaleSocket(path))) throw error;
      await this.#bind({ path });
    }
  }

  /** Binds the first port of the range that is free at all addresses of the host. */
  async #listenTcp(address: TcpAddress): Promise<MigrationAddress> {
    const places = await placesOf(address);
    for (let port = address.port; ; port++) {
      try {
        const bound = await this.#bindAll(places, { port, isKeptAlive: address.keepAlive !== false });
        return { ...address, port: bound[0]?.port ?? port, bound };
      } catch (error) {
        this.close();
        if (!isTaken(error) || port >= (address.portMax ?? port)) throw error;
      }
    }
  }

  async #bindAll(places: readonly Place[], { port, isKeptAlive }: { port: number; isKeptAlive: boolean }) {
    const bound: { host: string; port: number }[] = [];
    for (const { host, isAny, ipv6Only } of places) {
      const where = { host, port: bound[0]?.port ?? port, ipv6Only };
      const server = await this.#bind(where, isKeptAlive).catch((error: unknown) => {
        // A host without IPv6 still has all its IPv4 interfaces.
        if (isAny && !isTaken(error)) return this.#bind({ ...where, host: ANY_4 }, isKeptAlive);
        throw error;
      });
      const at = server.address() as net.AddressInfo;
      bound.push({ host: at.address, port: at.port });
      if (isAny && at.address === ANY_6) bound.push({ host: ANY_4, port: at.port });
    }
    return bound;
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
      // A later error of `accept` (no descriptors left) concerns one connection only.
      server.on('error', () => {});
      this.#servers.push(server);
      resolve(server);
    });
    return promise;
  }

  /** Node reports a missing folder of a unix socket as a missing permission. */
  #bindError(error: unknown, address: SocketAddress): TransferError {
    const isFolderThere = address.transport !== 'unix' || existsSync(dirname(address.path));
    if (isFolderThere) return channelError(error, this.#name);
    return { code: 'no_such_file', message: `${this.#name}: the folder is not there` };
  }
}

const ANY_6 = '::';
const ANY_4 = '0.0.0.0';

/** An address to bind. `isAny`: all interfaces, by one socket of both families. */
type Place = { readonly host: string; readonly isAny: boolean; readonly ipv6Only: boolean };

/** All addresses of the host's name: QEMU listens on all of them, too. */
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

/**
 * Removes the socket file of a service that was killed: a socket on which no process listens. Other files, and sockets
 * that answer, stay. @returns true if it was removed.
 */
export async function removeStaleSocket(path: string): Promise<boolean> {
  try {
    if (!lstatSync(path).isSocket() || (await isAnswered(path))) return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = net.connect({ path });
  probe.once('connect', () => resolve(true));
  probe.once('error', (error) => resolve(!('code' in error && error.code === 'ECONNREFUSED')));
  return promise.finally(() => probe.destroy());
}
