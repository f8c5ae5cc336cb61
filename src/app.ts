import { randomInt, randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BlockError } from './block/image.ts';
import type { CommandContext } from './commands/command.ts';
import type { Config } from './config.ts';
import type { Surroundings } from './domain/context.ts';
import { createDomain } from './domain/create-domain.ts';
import type { Domain } from './domain/domain.ts';
import { DomainError } from './domain/errors.ts';
import type { HoldReason } from './domain/machine/holds.ts';
import { parseUri } from './domain/migration/address.ts';
import { FdSets } from './domain/migration/fd-sets.ts';
import type { Clock, Machine } from './domain/ports.ts';
import type { BlockEngine, BlockNode } from './domain/snapshot-port.ts';
import type { Store } from './domain/store-ports.ts';
import type { Deadlines, TransferEngine } from './domain/transfer-port.ts';
import { descriptorCalls } from './engine/channels/descriptor-calls.ts';
import { deviceFiles } from './engine/channels/device-files.ts';
import { removeStale } from './engine/channels/file-draft.ts';
import { removeStaleSocket } from './engine/channels/stale-socket.ts';
import { createTransferEngine } from './engine/engine.ts';
import { workerMemory } from './engine/memory/worker-memory.ts';
import {
  type BlockEngineOptions,
  createBlockEngine,
  type ThreadedBlockEngine,
} from './engine/snapshot/block-engine.ts';
import type { NodeRepair } from './engine/snapshot/messages.ts';
import { HmpMonitor } from './hmp/hmp-monitor.ts';
import { createLog, type Log, logFault } from './log.ts';
import { createImageMachine } from './machine/image/image-machine.ts';
import { createSyntheticMachine, SyntheticMachine } from './machine/synthetic/synthetic-machine.ts';
import type { QmpLimits } from './qmp/qmp-limits.ts';
import { QmpListeners } from './qmp/qmp-listener.ts';
import { answerOnce } from './qmp/qmp-session.ts';
import type { HttpLimits } from './routes/limits.ts';
import { type KnownToken, KnownTokens } from './routes/plugins/auth.ts';
import { createServer } from './routes/server.ts';
import type { Server } from './routes/server-type.ts';
import { identityOf } from './start/identity.ts';
import { listenError } from './start/listen-error.ts';
import { readinessOf } from './start/readiness.ts';
import { dataDirectoryProbe, FreeSpace } from './store/disk-room.ts';
import { openStore } from './store/sqlite-store.ts';

const SCHEMA_DIRECTORY = fileURLToPath(new URL('../migrations-db', import.meta.url));

/** Name of the node that is a synthetic guest's disk, and the least that such a disk needs. */
const GUEST_DISK = 'disk0';
const GUEST_DISK_BYTES_MIN = 2 ** 20;

/** How long each phase of a migration may take or stand still before it fails; milliseconds. */
export const DEADLINES: Deadlines = { connectMs: 10_000, stallMs: 30_000, handoverMs: 30_000, advanceMs: 4 * 3600_000 };

const CLOCK: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/** What tests, and programs that embed the service, may put in the place of its own parts. */
export type AppOptions = {
  readonly deadlines?: Partial<Deadlines>;
  readonly limits?: Partial<HttpLimits>;
  readonly qmpLimits?: Partial<QmpLimits>;
  readonly engine?: TransferEngine;
  readonly machine?: Machine;
  readonly blocks?: BlockEngine;
  /** Of the block engine that opens the images, where `blocks` does not take its place. */
  readonly blockThread?: Pick<BlockEngineOptions, 'firstWorker' | 'workerUrl' | 'diskStallMs'>;
  readonly clock?: Clock;
  /** Where the log goes; standard error unless given. */
  readonly logStream?: NodeJS.WritableStream;
  /** Called when the process is to end, such as by quit; `failed` if an incoming migration that was to end it failed. */
  readonly onExit?: (failed: boolean) => void;
};

export type App = {
  /** Has every route; listens where `listenHttp` or a test says. */
  readonly server: Server;
  readonly domain: Domain;
  /** Listens where the configuration says. */
  listenHttp(): Promise<void>;
  /** Listens on the QMP sockets of the configuration. @returns where they are, in the flag's form. */
  listenQmp(): Promise<readonly string[]>;
  /** Takes these tokens in the place of those that it knows, if it asks for any. */
  replaceTokens(tokens: readonly KnownToken[]): void;
  /** Refuses new work, is not ready any more, lets what runs go on until it ends, or for `timeoutMs`, and tells of the end. */
  drain(timeoutMs: number): Promise<void>;
  /** Refuses new work, ends what runs, and lets go of everything. May be called more than once. */
  close(): Promise<void>;
};

/**
 * Puts a whole service together from its parts.
 * @throws DomainError if the data directory, an image or a setting cannot be used; nothing is left open then.
 */
export async function createApp(config: Config, options: AppOptions = {}): Promise<App> {
  const log = createLog(config.logLevel, options.logStream);
  await using parts = new AsyncDisposableStack();
  const store = parts.adopt(openStore(config.dataDirectory, SCHEMA_DIRECTORY), (opened) => opened.close());
  makeFileRoot(config.fileRoot);
  removeDrafts(config.fileRoot, store);
  const report = (error: unknown): void => logFault(log, error);
  const images = options.blocks === undefined ? await openImages(config, options, log) : null;
  const blocks = parts.adopt(images ?? options.blocks!, (made) => made.close());
  const machine = parts.adopt(options.machine ?? machineOf(config, images), (made) => made.close());
  const engine = parts.adopt(options.engine ?? createTransferEngine({ report }), (made) => made.close());
  const note: Surroundings['note'] = (message, details, level = 'info') => log[level](details, message);
  const domain = domainOf(config, options, { store, machine, engine, blocks, report, note });
  parts.adopt(domain, (made) => made.close());
  await domain.recovered();
  // Only now: what a guest writes to a disk that is being turned to a snapshot would be lost.
  if (options.machine === undefined) serveGuestDisk(machine, images);
  const monitor = new HmpMonitor(domain);
  const line = lineOf(monitor);
  const tokens = config.tokens === null ? null : new KnownTokens(config.tokens, () => (options.clock ?? CLOCK).now());
  let isDraining = false;
  const dataState = dataDirectoryProbe(config.dataDirectory, { reserve: store.reserve, now: monotonicOf(options) });
  const server = createServer({
    domain,
    monitor,
    log,
    readiness: () => readinessOf(domain, { data: dataState(), isDraining }),
    tokens,
    allowedOrigins: config.allowedOrigins,
    workers: workerMemory,
    space: spaceOf(config, blocks),
    qmp: (envelope, context) => answerOnce(envelope, { domain, context: { ...context, monitor: line }, report }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  for (const warning of [...config.warnings, ...readOnlyWarnings(blocks)]) log.warn(warning);
  parts.adopt(server, (made) => made.close());
  if (config.incoming !== null && config.incoming !== 'defer')
    await domain.migration.incoming({ uri: config.incoming });
  const qmpOptions = { domain, context: { monitor: line }, report, removeStaleSocket, limits: options.qmpLimits ?? {} };
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
      log.info({ timeoutMs }, 'told to stop: what runs is given time to end');
      await domain.drain(timeoutMs);
      domain.machine.tellShutdown('host-signal');
    },
    close: () => {
      closed ??= owned.disposeAsync();
      return closed;
    },
  };
}

/** As many connections as may be open may come in one moment: one that finds no room in the queue is never told so. */
async function listenOn(server: Server, address: Config['http']): Promise<void> {
  try {
    await server.listen({ ...address, backlog: server.server.maxConnections });
  } catch (error) {
    throw listenError(error, address);
  }
}

/** @throws DomainError, with the image's own code, if a node cannot be opened. */
async function openImages(config: Config, { blockThread }: AppOptions, log: Log): Promise<ThreadedBlockEngine> {
  const report = (error: unknown): void => logFault(log, error);
  const repaired = (repair: NodeRepair): void => log.warn(repairLine(repair), 'an image was repaired');
  try {
    return await createBlockEngine({
      ...blockThread,
      nodes: config.blockDevices,
      isActive: config.incoming === null,
      report,
      repaired,
    });
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    throw new DomainError(error.code, error.message, { cause: error });
  }
}

function readOnlyWarnings(blocks: BlockEngine): string[] {
  return blocks.nodes().flatMap(({ name, readOnlyReason }) => {
    if (readOnlyReason === null) return [];
    return [`block device node '${name}' is open for reading only: ${readOnlyReason}`];
  });
}

function spaceOf({ dataDirectory }: Config, blocks: BlockEngine): () => ReturnType<FreeSpace['read']> {
  const data = { place: 'data', path: dataDirectory };
  const space = new FreeSpace(() => [data, ...blocks.nodes().map(({ name, path }) => ({ place: name, path }))]);
  return () => space.read();
}

function repairLine({ node, leakedClusters, correctedEntries }: NodeRepair): object {
  const what = `${leakedClusters} leaked clusters were freed and ${correctedEntries} entries corrected`;
  const reason = `The image of node '${node}' had not been closed: ${what}.`;
  return { code: 'image_repaired', node, leakedClusters, correctedEntries, reason };
}

/** How commands reach the text monitor: as over a terminal that cannot wait for a migration. */
function lineOf(monitor: HmpMonitor): NonNullable<CommandContext['monitor']> {
  return async (line, context) => {
    const { text } = await monitor.answer(line, { signal: AbortSignal.abort(), context });
    return text.replaceAll('\n', '\r\n');
  };
}

function machineOf({ machine, incoming }: Config, images: ThreadedBlockEngine | null): Machine {
  const holds: HoldReason[] = [];
  if (incoming !== null) holds.push('incoming');
  else if (machine.paused) holds.push('operator');
  if (machine.kind === 'image') return createImageMachine({ holds });
  const { ramBytes, preallocatesRam, vcpus, ringEntries, workload } = machine;
  const node = images?.nodes().find(isGuestDisk) ?? null;
  const disk = node === null ? null : { bytes: node.diskBytes };
  const seed = randomInt(2 ** 32);
  return createSyntheticMachine({ ramBytes, preallocatesRam, vcpus, ringEntries, workload, seed, holds, disk });
}

function serveGuestDisk(machine: Machine, images: ThreadedBlockEngine | null): void {
  const attachment = machine instanceof SyntheticMachine ? machine.diskAttachment() : null;
  if (attachment !== null) images?.serveGuestDisk(GUEST_DISK, attachment);
}

/** True of the node that a synthetic guest uses as its disk; without one it does no disk work. */
function isGuestDisk({ name, isReadOnly, diskBytes }: BlockNode): boolean {
  return name === GUEST_DISK && !isReadOnly && diskBytes >= GUEST_DISK_BYTES_MIN;
}

type Parts = {
  readonly store: Store;
  readonly machine: Machine;
  readonly engine: TransferEngine;
  readonly blocks: BlockEngine;
  readonly report: (error: unknown) => void;
  readonly note: Surroundings['note'];
};

function domainOf(config: Config, options: AppOptions, parts: Parts): Domain {
  return createDomain({
    ...parts,
    clock: options.clock ?? CLOCK,
    schedule: (work, delayMs, { isBackground } = { isBackground: false }) => {
      const timer = setTimeout(work, delayMs);
      if (isBackground) timer.unref();
      return () => clearTimeout(timer);
    },
    nextTurn,
    ids: randomUUID,
    identity: identityOf(config.machine, parts.store),
    fileRoot: config.fileRoot,
    allowExec: config.allowExec,
    isOnlyMigratable: config.onlyMigratable,
    deviceFiles,
    fds: config.descriptors,
    descriptorCalls,
    deadlines: { ...DEADLINES, ...options.deadlines },
    startPaused: config.machine.paused,
    incoming: config.incoming !== null,
    keepListening: config.keepListening,
    overrides: config.overrides,
    exitProcess: options.onExit ?? (() => {}),
  });
}

function makeFileRoot(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new DomainError('data_directory_unusable', `The file root ${directory} cannot be made.`, { cause });
  }
}

/** What a service that was killed had begun to write; drafts in other folders go with the next file of that name. */
function removeDrafts(fileRoot: string, { migrations }: Store): void {
  const rules = { fileRoot, allowExec: false, fds: new Map(), fdSets: new FdSets(descriptorCalls) };
  const left = migrations.unfinished().filter(({ direction }) => direction === 'outgoing');
  removeStale(fileRoot, '.');
  for (const { uri } of left.filter(({ uri }) => uri.startsWith('file:'))) {
    try {
      const address = parseUri(uri, 'connect', rules);
      if (address.transport === 'file') removeStale(fileRoot, dirname(address.path));
    } catch {
      // It lay below another file root.
    }
  }
}

function monotonicOf({ clock = CLOCK }: AppOptions): () => number {
  return () => clock.monotonic();
}
