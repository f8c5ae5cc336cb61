import { chmodSync, existsSync, lstatSync } from 'node:fs';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Caller, CommandContext } from '../commands/command.ts';
import { MIGRATION_EVENTS } from '../commands/views/machine.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import { descriptorIntake, plainIntake } from './descriptor-intake.ts';
import { QmpConnection } from './qmp-connection.ts';
import { assertQmpLimits, QMP_LIMITS, type QmpLimits } from './qmp-limits.ts';
import { QmpSession } from './qmp-session.ts';

/* QMP sockets, for programs written for QEMU. There are no tokens: every client that can connect may run every command. */

export type QmpAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export type QmpListenerOptions = {
  readonly domain: Domain;
  /** Context of every command. */
  readonly context?: CommandContext;
  readonly report: (error: unknown) => void;
  /** Removes a socket file that no process listens on. @returns true if it did */
  readonly removeStaleSocket: (path: string) => Promise<boolean>;
  readonly limits?: Partial<QmpLimits>;
};

export type QmpListener = {
  /** Address in the form of the flag `--qmp`. */
  readonly address: string;
  /** Stops listening, lets running commands be answered, and closes the other connections after `closeGraceMs`. */
  close(): Promise<void>;
};

/** Mode of the unix socket: only its owner may connect. */
const SOCKET_MODE = 0o600;

/** Listens at an address. @throws DomainError if that fails; a socket on which a process listens is never replaced */
export async function listenQmp(address: QmpAddress, options: QmpListenerOptions): Promise<QmpListener> {
  const limits: QmpLimits = { ...QMP_LIMITS, ...options.limits };
  assertQmpLimits(limits);
  const connections = new Map<Socket, QmpConnection>();
  const held = { bytes: 0 };
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    const session = new QmpSession({ ...options, context: { ...options.context, caller: callerOf(address, socket) } });
    const isGuarded = address.kind === 'tcp';
    const openIntake = address.kind === 'unix' ? descriptorIntake : plainIntake;
    const connection = new QmpConnection({ socket, session, limits, held, isGuarded, openIntake });
    connections.set(socket, connection);
    socket.once('close', () => connections.delete(socket));
    connection.begin();
  });
  server.maxConnections = limits.clientsMax;
  await listen(server, address, options);
  server.on('error', options.report);
  const unsubscribe = options.domain.events.subscribe((event) => {
    if (MIGRATION_EVENTS.has(event.name) && !sendsMigrationEvents(options.domain)) return;
    for (const connection of connections.values()) connection.sendEvent(event);
  });
  return {
    address: shown(server, address),
    close: () => {
      unsubscribe();
      return close(server, connections, limits);
    },
  };
}

function sendsMigrationEvents({ settings }: Domain): boolean {
  return settings.capabilities().some(({ capability, state }) => capability === 'events' && state);
}

/** The caller in the audit trail. A socket has no tokens, so no name is known. */
function callerOf({ kind }: QmpAddress, { remoteAddress }: Socket): Caller {
  const name = kind === 'unix' ? 'owner' : 'anyone';
  return { door: 'qmp', name, address: remoteAddress ?? null, requestId: null };
}

async function listen(server: Server, address: QmpAddress, { removeStaleSocket }: QmpListenerOptions): Promise<void> {
  try {
    await bind(server, address);
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (!isTaken || address.kind !== 'unix' || !(await removeStaleSocket(address.path))) throw refused(address, error);
    await bind(server, address).catch((again: unknown) => {
      throw refused(address, again);
    });
  }
  if (address.kind === 'unix') chmodSync(address.path, SOCKET_MODE);
}

/** The umask sets the mode of the socket when it is created, so that no other user can connect before `chmod`. */
function bind(server: Server, address: QmpAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  const where: ListenOptions =
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port, exclusive: true };
  const mask = process.umask(0o777 & ~SOCKET_MODE);
  try {
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  } finally {
    process.umask(mask);
  }
  return promise;
}

function refused(address: QmpAddress, cause: unknown): DomainError {
  const where = address.kind === 'unix' ? `unix:${address.path}` : `tcp:${address.host}:${address.port}`;
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
  const inUse = code === 'EADDRINUSE';
  // Node reports the same error for a missing directory as for one that is not writable.
  const isFolderGone = address.kind === 'unix' && !existsSync(dirname(address.path));
  const why = inUse ? occupantOf(address) : isFolderGone ? 'its directory does not exist' : code;
  const message = `The service cannot listen on --qmp ${where}: ${why}.`;
  return new DomainError(inUse ? 'address_in_use' : 'address_not_available', message, { cause });
}

/** What occupies the address, and what to do. A file that is not a socket occupies the path of a unix socket, too. */
function occupantOf(address: QmpAddress): string {
  const entry = address.kind === 'unix' ? lstatSync(address.path, { throwIfNoEntry: false }) : undefined;
  if (entry === undefined || entry.isSocket())
    return 'another process listens there; stop it, or choose another address';
  return 'a file that is not a socket has that path; move it away, or choose another path';
}

function shown(server: Server, address: QmpAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('the listener has no port');
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `tcp:${host}:${bound.port}`;
}

async function close(server: Server, connections: Map<Socket, QmpConnection>, limits: QmpLimits): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  for (const connection of connections.values()) connection.close();
  // Each connection has a limit of its own, but only after its running command, which may take longer.
  const cut = setTimeout(() => {
    for (const socket of connections.keys()) socket.destroy();
  }, limits.closeGraceMs);
  await closed;
  clearTimeout(cut);
}

/** All QMP sockets of a service. Either all of them listen or none. */
export class QmpListeners {
  readonly #addresses: readonly QmpAddress[];
  readonly #options: QmpListenerOptions;
  readonly #open: QmpListener[] = [];

  constructor(addresses: readonly QmpAddress[], options: QmpListenerOptions) {
    this.#addresses = addresses;
    this.#options = options;
  }

  /** @returns the addresses in the form of the flag `--qmp`. @throws DomainError if one of them cannot be listened on */
  async listen(): Promise<readonly string[]> {
    try {
      for (const address of this.#addresses) this.#open.push(await listenQmp(address, this.#options));
    } catch (error) {
      await this.close();
      throw error;
    }
    return this.#open.map(({ address }) => address);
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((listener) => listener.close()));
  }
}
