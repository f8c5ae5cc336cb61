import type { Worker } from 'node:worker_threads';
import type { FileCall } from '../../block/image.ts';
import type { WorkerThreads } from '../memory/worker-memory.ts';
import { startWorker } from '../session/worker-thread.ts';
import type { NodeRepair, NodeSpec } from './block-messages.ts';

/** Heap limits of the block thread, MiB. The heap contains mainly tables of images; buffers are outside of it. */
const LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 192 };
const PROGRAM = new URL('./worker/block-thread.ts', import.meta.url);

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
  /** A thread without a heartbeat for about this long is ended; milliseconds. */
  readonly hangMsMax?: number;
  /** If a system call on a disk that a task needs lasts longer, the thread is ended; milliseconds. */
  readonly diskStallMs?: number;
};

/** Time limit for opening and checking all images: a large image on a slow disk takes minutes. */
export const OPEN_MS_MAX = 10 * 60_000;
/** For the thread to end its tasks and close its images, and for its end once it is terminated. */
export const CLOSE_MS_MAX = 10_000;
export const TERMINATE_MS_MAX = 5000;

/** A disk hangs if a system call on it lasts longer than this. */
export const DISK_STALL_MS = 60_000;
/** Factor for a flush: it writes all cached data of the file, which may be a part of the system's memory. */
const FLUSH_ALLOWANCE = 10;
/** Polls in that time. Polls are counted instead of time, so that a stopped process does not count as hung. */
const POLLS = 12;

export type WatchedNode = { readonly name: string; readonly image: { readonly underWay: Iterable<FileCall> } };

/**
 * Watches all system calls on the images, also those of other tasks, because requests wait for each other.
 * @param onStall called once, with a clause that describes the call.
 * @returns a function that ends the watch.
 */
export function watchForStalls(
  nodes: readonly WatchedNode[],
  stallMs: number,
  onStall: (what: string) => void,
): () => void {
  let seen = new Map<FileCall, number>();
  const look = (): void => {
    const now = new Map<FileCall, number>();
    for (const { name, image } of nodes) {
      for (const call of image.underWay) {
        const polls = (seen.get(call) ?? 0) + 1;
        now.set(call, polls);
        if (polls <= POLLS * allowanceOf(call)) continue;
        clearInterval(timer);
        onStall(`the disk of node ${name} does not answer: ${describeCall(call, stallMs)}`);
        return;
      }
    }
    seen = now;
  };
  const timer = setInterval(look, stallMs / POLLS);
  timer.unref();
  return () => clearInterval(timer);
}

function allowanceOf({ doing }: FileCall): number {
  return doing === 'flushing' ? FLUSH_ALLOWANCE : 1;
}

function describeCall(call: FileCall, stallMs: number): string {
  const { doing, position, bytes } = call;
  const where = doing === 'reading' || doing === 'writing' ? `${doing} ${bytes} bytes at ${position}` : doing;
  return `${where} did not end within ${stallMs * allowanceOf(call)} ms`;
}

/**
 * Ends this thread with an uncaught error. The engine starts another thread, which undoes incomplete changes. Used when
 * a system call does not return, because it cannot be ended in another way.
 * @param reason a clause; the tasks in progress fail with it.
 */
export function endThread(reason: string): Promise<never> {
  setImmediate(() => {
    throw new Error(reason);
  });
  return new Promise(() => {});
}
