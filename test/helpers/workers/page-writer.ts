// A thread that writes the number of its round into every page and marks the page dirty, as a vCPU does, until it is
// told to stop.

import { workerData } from 'node:worker_threads';
import { instantiateKernels } from '../../../src/engine/kernels/index.ts';
import { DIRTY_LOG_ADDRESS, PAGE_BYTES, RAM_ADDRESS } from '../../../src/engine/memory/layout.ts';
import { ENDED, ROUND, STOP } from './page-writer-words.ts';

type Order = {
  readonly memory: WebAssembly.Memory;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly pages: number;
};

const { memory, words, pages } = workerData as Order;
const kernels = instantiateKernels(memory);
const view = new Int32Array(memory.buffer);
for (let round = 1; Atomics.load(words, STOP) === 0; round += 1) {
  for (let page = 0; page < pages; page += 1) {
    view[(RAM_ADDRESS + page * PAGE_BYTES) / 4] = round;
    kernels.guestMarkDirty(DIRTY_LOG_ADDRESS, page);
  }
  Atomics.store(words, ROUND, round);
  Atomics.notify(words, ROUND);
}
Atomics.store(words, ENDED, 1);
Atomics.notify(words, ENDED);
