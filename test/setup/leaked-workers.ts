// Fails a test file that leaves worker threads running, because a guest or an engine was not closed.

import './compile-cache.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { afterAll } from 'vitest';

const GRACE_MS = 2_000;
const STEP_MS = 10;

const running = new Set<Worker>();

function watch(worker: Worker): void {
  running.add(worker);
  worker.once('exit', () => running.delete(worker));
}
process.on('worker', watch);

afterAll(async () => {
  // The next file may have this process too.
  process.off('worker', watch);
  for (let waitedMs = 0; running.size > 0 && waitedMs < GRACE_MS; waitedMs += STEP_MS) await sleep(STEP_MS);
  const leaked = [...running].map((worker) => worker.threadId);
  await Promise.all([...running].map((worker) => worker.terminate()));
  if (leaked.length > 0) {
    throw new Error(`${leaked.length} worker threads still run after the last test: threads ${leaked.join(', ')}.`);
  }
});
