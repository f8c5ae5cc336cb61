import type { Worker } from 'node:worker_threads';

/* The heap memory of worker threads. Shared memory belongs to the guest and not to a single thread. */

export type WorkerKind = 'transfer' | 'block' | 'vcpu';

/** Bytes, as V8 counts them. */
type Memory = { readonly heapBytes: number; readonly heapUsedBytes: number; readonly externalBytes: number };

/** A running thread; `memory` is null if it did not answer. */
export type WorkerMemory = { readonly kind: WorkerKind; readonly memory: Memory | null };

/** The members of a Worker that are used here. */
export type Counted = Pick<Worker, 'getHeapStatistics'> & {
  once(event: 'exit', listener: () => void): unknown;
};

/** Time for an answer, milliseconds. An idle thread answers at once; one that starts or waits for a disk may not. */
const ANSWER_MS_MAX = 200;

/** The worker threads of one machine. */
export class WorkerThreads {
  readonly #running = new Map<Counted, WorkerKind>();

  /** Counts a thread until it ends. @returns the thread. */
  counted<W extends Counted>(worker: W, kind: WorkerKind): W {
    this.#running.set(worker, kind);
    worker.once('exit', () => this.#running.delete(worker));
    return worker;
  }

  /** The memory of each thread that runs now. */
  memory(): Promise<readonly WorkerMemory[]> {
    return Promise.all([...this.#running].map(async ([worker, kind]) => ({ kind, memory: await memoryOf(worker) })));
  }
}

async function memoryOf(worker: Counted): Promise<Memory | null> {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), ANSWER_MS_MAX);
  try {
    // A thread that ends meanwhile rejects.
    const heap = await Promise.race([worker.getHeapStatistics().catch(() => null), late.promise]);
    if (heap === null) return null;
    const { total_heap_size: heapBytes, used_heap_size: heapUsedBytes, external_memory: externalBytes } = heap;
    return { heapBytes, heapUsedBytes, externalBytes };
  } finally {
    clearTimeout(timer);
  }
}
