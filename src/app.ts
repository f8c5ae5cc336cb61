import { fileURLToPath } from 'node:url';
import type { CommandContext } from './commands/command.ts';
import { CLOCK, composeMachine, type MachineOptions } from './compose-machine.ts';
import type { Config } from './config.ts';
import type { Domain } from './domain/domain.ts';
import { removeStaleSocket } from './engine/channels/socket-server.ts';
import type { BlockEngine } from './engine/snapshot/block-messages.ts';
import { HmpMonitor } from './hmp/hmp-monitor.ts';
import { createLog, logFault } from './log.ts';
import type { QmpLimits } from './qmp/qmp-limits.ts';
import { QmpListeners } from './qmp/qmp-listener.ts';
import { answerOnce } from './qmp/qmp-session.ts';
import type { HttpLimits } from './routes/http-limits.ts';
import { type KnownToken, KnownTokens } from './routes/plugins/auth.ts';
import type { Server } from './routes/plugins/common-hooks.ts';
import { createServer } from './routes/server.ts';
import { listenError } from './start/listen-error.ts';
import { readinessOf } from './start/service-lifetime.ts';
import { dataDirectoryProbe, FreeSpace } from './store/disk-room.ts';
import { openStore } from './store/sqlite-store.ts';

const SCHEMA_DIRECTORY = fileURLToPath(new URL('../migrations-db', import.meta.url));

/** Parts of the service that tests, and programs that embed it, may replace. */
export type AppOptions = MachineOptions & {
  readonly limits?: Partial<HttpLimits>;
  readonly qmpLimits?: Partial<QmpLimits>;
  /** Receives the log; default: standard error. */
  readonly logStream?: NodeJS.WritableStream;
};

export type App = {
  /** The HTTP server with every route. It listens after `listenHttp`; tests can use it without listening. */
  readonly server: Server;
  readonly domain: Domain;
  /** Listens on the HTTP address of the configuration. */
  listenHttp(): Promise<void>;
  /** Listens on the QMP sockets of the configuration. @returns their addresses, in the form of the flag */
  listenQmp(): Promise<readonly string[]>;
  /** Replaces the tokens of the service. Has no effect on a service without tokens. */
  replaceTokens(tokens: readonly KnownToken[]): void;
  /** Reports not ready, refuses new work, waits at most `timeoutMs` for running work, and then emits the SHUTDOWN event. */
  drain(timeoutMs: number): Promise<void>;
  /** Refuses new work, ends running work, and releases all resources. May be called more than once. */
  close(): Promise<void>;
};

/**
 * Composes a whole service from its parts.
 * @throws DomainError if the data directory, an image or a setting cannot be used; then nothing is left open
 */
export async function createApp(config: Config, options: AppOptions = {}): Promise<App> {
  const log = createLog(config.logLevel, options.logStream);
  await using parts = new AsyncDisposableStack();
  const store = parts.adopt(openStore(config.dataDirectory, SCHEMA_DIRECTORY), (opened) => opened.close());
  const report = (error: unknown): void => logFault(log, error);
  const composed = await composeMachine(config, { ...options, store, log });
  const { domain, blocks } = parts.adopt(composed, (made) => made.close());
  const clock = options.clock ?? CLOCK;
  const monitor = new HmpMonitor(domain);
  const runMonitorLine = monitorRunner(monitor);
  const tokens = config.tokens === null ? null : new KnownTokens(config.tokens, () => clock.now());
  let isDraining = false;
  const dataState = dataDirectoryProbe(config.dataDirectory, { reserve: store.reserve, now: () => clock.monotonic() });
  const server = createServer({
    domain,
    monitor,
    log,
    readiness: () => readinessOf(domain, { data: dataState(), isDraining }),
    tokens,
    allowedOrigins: config.allowedOrigins,
    workers: () => composed.workers.memory(),
    space: spaceOf(config, blocks),
    qmp: (envelope, context) =>
      answerOnce(envelope, { domain, context: { ...context, monitor: runMonitorLine }, report }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  for (const warning of [...config.warnings, ...readOnlyWarnings(blocks)]) log.warn(warning);
  parts.adopt(server, (made) => made.close());
  if (config.incoming !== null && config.incoming !== 'defer')
    await domain.migration.incoming({ uri: config.incoming });
  const qmpOptions = {
    domain,
    context: { monitor: runMonitorLine },
    report,
    removeStaleSocket,
    limits: options.qmpLimits ?? {},
  };
  const sockets = parts.adopt(new QmpListeners(config.qmp, qmpOptions), (made) => made.close());
  const owned = parts.move();
  let closed: Promise<void> | null = null;
  return {
    server,
    domain,
    listenHttp: () => listenOn(server, config.http),
    listenQmp: () => sockets.listen(),
    replaceTokens: (list) => tokens?.replace(list),
    drain: async (timeoutMs) => {
      isDraining = true;
      log.info({ timeoutMs }, 'the service stops and waits for running work');
      await domain.drain(timeoutMs);
      domain.machine.emitShutdown('host-signal');
    },
    close: () => {
      closed ??= owned.disposeAsync();
      return closed;
    },
  };
}

/**
 * The backlog is as long as the connection limit, because a connection that does not fit into it is lost without notice to the
 * client.
 */
async function listenOn(server: Server, address: Config['http']): Promise<void> {
  try {
    await server.listen({ ...address, backlog: server.server.maxConnections });
  } catch (error) {
    throw listenError(error, address);
  }
}

function readOnlyWarnings(blocks: BlockEngine): string[] {
  return blocks.nodes().flatMap(({ name, readOnlyReason }) => {
    if (readOnlyReason === null) return [];
    return [`block device node '${name}' is open read-only: ${readOnlyReason}`];
  });
}

function spaceOf({ dataDirectory }: Config, blocks: BlockEngine): () => ReturnType<FreeSpace['read']> {
  const data = { place: 'data', path: dataDirectory };
  const space = new FreeSpace(() => [data, ...blocks.nodes().map(({ name, path }) => ({ place: name, path }))]);
  return () => space.read();
}

/** Runs a line of the text monitor for a QMP command. Its output has the line ends of a terminal, and it waits for no migration. */
function monitorRunner(monitor: HmpMonitor): NonNullable<CommandContext['monitor']> {
  return async (line, context) => {
    const { text } = await monitor.answer(line, { signal: AbortSignal.abort(), context });
    return text.replaceAll('\n', '\r\n');
  };
}
