import type { Worker } from 'node:worker_threads';
import type { WorkerThreads } from '../memory/worker-memory.ts';
import { startWorker } from '../session/worker-thread.ts';
import type { NodeRepair, NodeSpec } from './block-messages.ts';

/** Heap limits of the block thread, MiB. The heap contains mainly tables of images; buffers are outside of it. */
const LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 192 };
const PROGRAM = new URL('./worker/block-worker-program.ts', import.meta.url);

/**
 * Starts the thread. It loads its program and waits for the order to open images. This file has few imports, so that
 * the service can start the thread first and load its other modules at the same time.
 */
export function startBlockWorker(program: URL = PROGRAM): Worker {
  return startWorker(program, 'block', LIMITS);
}

/** Parts and settings of a block engine. */
export type BlockEngineOptions = {
  readonly nodes: readonly NodeSpec[];
  /** False: the guest of the images comes from the other side of a migration. Default: true. */
  readonly isActive?: boolean;
  /** `report` receives crashes of the thread (WorkerDeath) and faults that no task reports; `repaired` each repair. */
  readonly report: (error: unknown) => void;
  readonly repaired?: (repair: NodeRepair) => void;
  /** The first thread, if startBlockWorker has already started it. */
  readonly firstWorker?: Worker;
  /** Counts the block thread. */
  readonly workers?: WorkerThreads;
  /** The program of the block thread; for tests. */
  readonly workerUrl?: URL;
  /** A thread whose heart has not beaten for about this long is ended; milliseconds. */
  readonly hangMsMax?: number;
  /** A disk that a task needs and that takes nothing for so long has hung: its thread is ended; milliseconds. */
  readonly diskStallMs?: number;
};

/** Time limit for opening and checking all images: a large image on a slow disk takes minutes. */
export const OPEN_MS_MAX = 10 * 60_000;
/** For the thread to end its tasks and close its images, and for its end once it is terminated. */
export const CLOSE_MS_MAX = 10_000;
export const TERMINATE_MS_MAX = 5000;
