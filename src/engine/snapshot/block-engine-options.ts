import type { Worker } from 'node:worker_threads';
import type { WorkerThreads } from '../memory/worker-memory.ts';
import type { NodeRepair, NodeSpec } from './messages.ts';

/** What an engine is made of. */
export type BlockEngineOptions = {
  readonly nodes: readonly NodeSpec[];
  /** False: the guest that uses the images is awaited from the other side of a migration. Default: true. */
  readonly isActive?: boolean;
  /** `report` has crashes of the thread (WorkerDeath) and faults that no task's end speaks of, `repaired` each repair. */
  readonly report: (error: unknown) => void;
  readonly repaired?: (repair: NodeRepair) => void;
  /** The first thread, from startBlockWorker, if it was started beforehand. */
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

/** For opening and checking all images: a large one on a slow disk takes minutes, one that hangs takes for ever. */
export const OPEN_MS_MAX = 10 * 60_000;
/** For the thread to end its tasks and close its images, and for its end once it is terminated. */
export const CLOSE_MS_MAX = 10_000;
export const TERMINATE_MS_MAX = 5000;
