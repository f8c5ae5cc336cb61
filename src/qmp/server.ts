import { chmodSync, existsSync, lstatSync } from 'node:fs';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Caller, CommandContext } from '../commands/command.ts';
import type { Domain } from '../commands/domain.ts';
import { DomainError } from '../commands/errors.ts';
import { MIGRATION_EVENTS } from '../commands/views/event.ts';
import { Connection } from './connection.ts';
import { descriptorIntake, plainIntake } from './descriptor-intake.ts';
import { assertQmpLimits, QMP_LIMITS, type QmpLimits } from './limits.ts';
import { Session } from './session.ts';

/* The QMP door: a socket that programs written for QEMU connect to. Whoever may connect may do everything. */

export type QmpAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export type QmpListenerOptions = {
  readonly domain: Domain;
  /** Handed to every command. */
  readonly context?: CommandContext;
  readonly report: (error: unknown) => void;
  /** Removes a socket that nobody listens on. @returns true if it did. */
  readonly removeStaleSocket: (path: string) => Promise<boolean>;
  readonly limits?: Partial<QmpLimits>;
};

export type QmpListener = {
  /** Where it listens, in the flag's form. */
  readonly address: string;
  /** Listens no more, lets commands under way be answered, and cuts who is still there when time is up. */
  close(): Promise<void>;
};

/** Of the unix socket: its owner only. */
const SOCKET_MODE = 0o600;

/** @throws DomainError if the address cannot be had; a socket that answers is never taken over. */
export async function listenQmp(address: QmpAddress, options: QmpListenerOptions): Promise<QmpListener> {
  const limits: QmpLimits = { ...QMP_LIMITS, ...options.limits };
  assertQmpLimits(limits);
  const connections = new Map<Socket, Connection>();
  const held = { bytes: 0 };
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    const session = new Session({ ...options, context: { ...options.context, caller: callerOf(address, socket) } });
    const isGuarded = address.kind === 'tcp';
    const openIntake = address.kind === 'unix' ? descriptorIntake : plainIntake;
    const connection = new Connection({ socket, session, limits, held, isGuarded, openIntake });
    connections.set(socket, connection);
    socket.once('close', () => connections.delete(socket));
    connection.begin();
  });
  server.maxConnections = limits.clientsMax;
  await listen(server, address, options);
  server.on('error', options.report);
  const unsubscribe = options.domain.events.subscribe((event) => {
    if (MIGRATION_EVENTS.has(event.name) && !tellsMigrations(options.domain)) return;
    for (const connection of connections.values()) connection.happened(event);
  });
  return {
    address: shown(server, address),
    close: () => {
      unsubscribe();
      return close(server, connections, limits);
    },
  };
}

function tellsMigrations({ settings }: Domain): boolean {
  return settings.capabilities().some(({ capability, state }) => capability === 'events' && state);
}

/** For the audit trail: a socket asks nobody who they are. */
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

/** The socket is made with its mode, so that there is no moment at which others could connect. */
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
  // Node says of a folder that is not there what it says of one that may not be written.
  const isFolderGone = address.kind === 'unix' && !existsSync(dirname(address.path));
  const why = inUse ? takenBy(address) : isFolderGone ? 'its folder is not there' : code;
  const message = `--qmp ${where} cannot be listened on: ${why}.`;
  return new DomainError(inUse ? 'address_in_use' : 'address_not_available', message, { cause });
}

/** What has the address, and what to do about it. A file that is no socket keeps a service from listening, too. */
function takenBy(address: QmpAddress): string {
  const entry = address.kind === 'unix' ? lstatSync(address.path, { throwIfNoEntry: false }) : undefined;
  if (entry === undefined || entry.isSocket())
    return 'something else listens there; stop it, or choose another address';
  return 'a file that is no socket is there; move it away, or choose another path';
}

function shown(server: Server, address: QmpAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('the listener has no port');
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `tcp:${host}:${bound.port}`;
}

async function close(server: Server, connections: Map<Socket, Connection>, limits: QmpLimits): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  for (const connection of connections.values()) connection.close();
  // Beside the clients' own time: a command under way may take longer than that.
  const cut = setTimeout(() => {
    for (const socket of connections.keys()) socket.destroy();
  }, limits.closeGraceMs);
  await closed;
  clearTimeout(cut);
}
