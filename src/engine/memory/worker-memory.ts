import type { Worker } from 'node:worker_threads';

/* What the threads of this process hold beside shared memory, which is the guest's and no single thread's. */

export type WorkerKind = 'transfer' | 'block' | 'vcpu';

/** Bytes, as V8 counts them. */
type Memory = { readonly heapBytes: number; readonly heapUsedBytes: number; readonly externalBytes: number };

/** A thread that runs; null: it did not say what it holds. */
export type WorkerMemory = { readonly kind: WorkerKind; readonly memory: Memory | null };

/** What is asked of a thread. */
export type Counted = Pick<Worker, 'getHeapStatistics'> & {
  once(event: 'exit', listener: () => void): unknown;
};

/** A thread that waits answers at once; one that begins, or that a disk holds up, is given this long, in milliseconds. */
const ANSWER_MS_MAX = 200;

const running = new Map<Counted, WorkerKind>();

/** Counts a thread until it ends. @returns the thread. */
export function counted<W extends Counted>(worker: W, kind: WorkerKind): W {
  running.set(worker, kind);
  worker.once('exit', () => running.delete(worker));
  return worker;
}

/** What each thread that runs now holds. */
export function workerMemory(): Promise<readonly WorkerMemory[]> {
  return Promise.all([...running].map(async ([worker, kind]) => ({ kind, memory: await memoryOf(worker) })));
}

async function memoryOf(worker: Counted): Promise<Memory | null> {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), ANSWER_MS_MAX);
  try {
    // One that ends meanwhile rejects, and holds nothing any more.
    const heap = await Promise.race([worker.getHeapStatistics().catch(() => null), late.promise]);
    if (heap === null) return null;
    const { total_heap_size: heapBytes, used_heap_size: heapUsedBytes, external_memory: externalBytes } = heap;
    return { heapBytes, heapUsedBytes, externalBytes };
  } finally {
    clearTimeout(timer);
  }
}
