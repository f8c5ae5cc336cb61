import type { Worker } from 'node:worker_threads';
import { startWorker } from '../session/worker-thread.ts';

/** Heaps of the block thread, MiB: it keeps tables of images and little else; buffers are not in them. */
const LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 192 };
const PROGRAM = new URL('./worker/main.ts', import.meta.url);

/**
 * Starts the thread, which loads its program and waits to be told which images to open. Has few imports of its own, so
 * that a service can start it first and load the rest of itself meanwhile.
 */
export function startBlockWorker(program: URL = PROGRAM): Worker {
  return startWorker(program, 'block', LIMITS);
}
