import { randomInt, randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BlockError } from './block/image.ts';
import type { Config } from './config.ts';
import { createDomain, type Domain } from './domain/domain.ts';
import { DomainError } from './domain/errors.ts';
import { FdSets } from './domain/migration/client-descriptors.ts';
import { parseUri } from './domain/migration/migration-address.ts';
import type { BlockNode } from './domain/ports/block-nodes.ts';
import type { HoldReason, Hypervisor } from './domain/ports/hypervisor.ts';
import type { Deadlines } from './domain/ports/migration-session.ts';
import type { Clock } from './domain/ports/process.ts';
import type { Store } from './domain/ports/store.ts';
import { embeddedHypervisor } from './embedded/embedded-hypervisor.ts';
import { descriptorCalls } from './engine/channels/descriptor.ts';
import { deviceFiles } from './engine/channels/device-files.ts';
import { removeStale } from './engine/channels/file-draft.ts';
import { createTransferEngine } from './engine/engine.ts';
import { WorkerThreads } from './engine/memory/worker-memory.ts';
import { createBlockEngine } from './engine/snapshot/block-engine.ts';
import type { BlockEngine, NodeRepair, ThreadedBlockEngine } from './engine/snapshot/block-messages.ts';
import type { BlockEngineOptions } from './engine/snapshot/block-worker.ts';
import type { TransferEngine } from './engine/transfer-engine.ts';
import { type Log, logFault } from './log.ts';
import type { EmbeddedMachine } from './machine/embedded-machine.ts';
import { createImageMachine } from './machine/image/image-machine.ts';
import { createSyntheticMachine, SyntheticMachine } from './machine/synthetic/synthetic-machine.ts';
import { identityOf } from './start/service-lifetime.ts';

/** Name of the node that a synthetic guest uses as its disk, and the smallest size of such a disk. */
const GUEST_DISK = 'disk0';
const GUEST_DISK_BYTES_MIN = 2 ** 20;

/** Timeouts of the phases of a migration, in milliseconds. A phase that exceeds its timeout fails the migration. */
export const DEADLINES: Deadlines = { connectMs: 10_000, stallMs: 30_000, handoverMs: 30_000, advanceMs: 4 * 3600_000 };

/** The clocks of this host. */
export const CLOCK: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

/** Parts of a machine that tests, and programs that embed the service, may replace. */
export type MachineOptions = {
  readonly deadlines?: Partial<Deadlines>;
  readonly engine?: TransferEngine;
  readonly machine?: EmbeddedMachine;
  readonly blocks?: BlockEngine;
  /** Options of the block engine that opens the images, if `blocks` does not replace it. */
  readonly blockThread?: Pick<BlockEngineOptions, 'firstWorker' | 'workerUrl' | 'diskStallMs'>;
  readonly clock?: Clock;
  /** Called when the process must end, for example by quit. `failed`: an incoming migration with exit-on-error has failed. */
  readonly onExit?: (failed: boolean) => void;
};

export type ComposeOptions = MachineOptions & { readonly store: Store; readonly log: Log };

/** A machine with its own domain and engines. One process can have several. */
export type ComposedMachine = {
  readonly domain: Domain;
  readonly blocks: BlockEngine;
  readonly workers: WorkerThreads;
  /** Ends the work and the threads of the machine, and closes its images. The store stays open. */
  close(): Promise<void>;
};

/**
 * Composes one machine over a store: its images, guest, engines and domain.
 * @throws DomainError if an image, a setting or the file root cannot be used; then nothing is left open
 */
export async function composeMachine(config: Config, options: ComposeOptions): Promise<ComposedMachine> {
  const { store, log } = options;
  await using parts = new AsyncDisposableStack();
  makeFileRoot(config.fileRoot);
  removeDrafts(config.fileRoot, store);
  const workers = new WorkerThreads();
  const report = (error: unknown): void => logFault(log, error);
  const images = options.blocks === undefined ? await openImages(config, options, workers) : null;
  const blocks = parts.adopt(images ?? options.blocks!, (made) => made.close());
  const machine = parts.adopt(options.machine ?? machineOf(config, { images, workers }), (made) => made.close());
  const engine = parts.adopt(options.engine ?? createTransferEngine({ report, workers }), (made) => made.close());
  const hypervisor = embeddedHypervisor({ machine, engine, blocks, deviceFiles, fileRoot: config.fileRoot });
  const domain = parts.adopt(domainOf(config, options, hypervisor), (made) => made.close());
  await domain.recovered();
  // After the recovery: it may load a snapshot into the disk, and would then lose writes of the guest.
  if (options.machine === undefined) serveGuestDisk(machine, images);
  const owned = parts.move();
  return { domain, blocks, workers, close: () => owned.disposeAsync() };
}

/** Opens the images. @throws DomainError with the error code of the image if it cannot be opened */
async function openImages(
  config: Config,
  { blockThread, log }: ComposeOptions,
  workers: WorkerThreads,
): Promise<ThreadedBlockEngine> {
  const report = (error: unknown): void => logFault(log, error);
  const repaired = (repair: NodeRepair): void => log.warn(repairLine(repair), 'an image was repaired');
  try {
    return await createBlockEngine({
      ...blockThread,
      nodes: config.blockDevices,
      isActive: config.incoming === null,
      workers,
      report,
      repaired,
    });
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    throw new DomainError(error.code, error.message, { cause: error });
  }
}

function repairLine({ node, leakedClusters, correctedEntries }: NodeRepair): object {
  const repairs = `${leakedClusters} leaked clusters were freed and ${correctedEntries} entries corrected`;
  const reason = `The image of node '${node}' had not been closed: ${repairs}.`;
  return { code: 'image_repaired', node, leakedClusters, correctedEntries, reason };
}

function machineOf(
  { machine, incoming }: Config,
  { images, workers }: { readonly images: ThreadedBlockEngine | null; readonly workers: WorkerThreads },
): EmbeddedMachine {
  const holds: HoldReason[] = [];
  if (incoming !== null) holds.push('incoming');
  else if (machine.paused) holds.push('operator');
  if (machine.kind === 'image') return createImageMachine({ holds });
  const { ramBytes, preallocatesRam, vcpus, ringEntries, workload } = machine;
  const node = images?.nodes().find(isGuestDisk) ?? null;
  const disk = node === null ? null : { bytes: node.diskBytes };
  const seed = randomInt(2 ** 32);
  const guest = { ramBytes, preallocatesRam, vcpus, ringEntries, workload };
  return createSyntheticMachine({ ...guest, seed, holds, disk, workers });
}

function serveGuestDisk(machine: EmbeddedMachine, images: ThreadedBlockEngine | null): void {
  const attachment = machine instanceof SyntheticMachine ? machine.diskAttachment() : null;
  if (attachment !== null) images?.serveGuestDisk(GUEST_DISK, attachment);
}

/** True for the node that a synthetic guest uses as its disk. A guest without a disk has no disk workload. */
function isGuestDisk({ name, isReadOnly, diskBytes }: BlockNode): boolean {
  return name === GUEST_DISK && !isReadOnly && diskBytes >= GUEST_DISK_BYTES_MIN;
}

function domainOf(config: Config, options: ComposeOptions, hypervisor: Hypervisor): Domain {
  const { store, log } = options;
  return createDomain({
    store,
    hypervisor,
    report: (error) => logFault(log, error),
    note: (message, details, level = 'info') => log[level](details, message),
    clock: options.clock ?? CLOCK,
    schedule: (work, delayMs, { isBackground } = { isBackground: false }) => {
      const timer = setTimeout(work, delayMs);
      if (isBackground) timer.unref();
      return () => clearTimeout(timer);
    },
    nextTurn,
    ids: randomUUID,
    identity: identityOf(config.machine, store),
    fileRoot: config.fileRoot,
    allowExec: config.allowExec,
    isOnlyMigratable: config.onlyMigratable,
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
    throw new DomainError('data_directory_unusable', `The file root ${directory} cannot be created.`, { cause });
  }
}

/** Removes unfinished files of a killed service. A later migration to the same file removes those in other folders. */
function removeDrafts(fileRoot: string, { migrations }: Store): void {
  const rules = { fileRoot, allowExec: false, fds: new Map(), fdSets: new FdSets(descriptorCalls) };
  const unfinished = migrations.unfinished().filter(({ direction }) => direction === 'outgoing');
  removeStale(fileRoot, '.');
  for (const { uri } of unfinished.filter(({ uri }) => uri.startsWith('file:'))) {
    try {
      const address = parseUri(uri, 'connect', rules);
      if (address.transport === 'file') removeStale(fileRoot, dirname(address.path));
    } catch {
      // The file was below another file root.
    }
  }
}
