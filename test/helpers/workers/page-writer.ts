// A thread that increments a counter in every page and marks the page dirty, as a vCPU does, but only after the test
// has seen the previous count. So a later mark never hides a lost one.

import { workerData } from 'node:worker_threads';
import { instantiateKernels } from '../../../src/engine/kernels/kernels.ts';
import { DIRTY_LOG_ADDRESS, PAGE_BYTES, RAM_ADDRESS } from '../../../src/engine/memory/layout.ts';
import { ENDED, PAGE_WORDS, STOP } from './page-writer-words.ts';

type Order = {
  readonly memory: WebAssembly.Memory;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly pages: number;
};

const { memory, words, pages } = workerData as Order;
const kernels = instantiateKernels(memory);
const view = new Int32Array(memory.buffer);
while (Atomics.load(words, STOP) === 0) {
  for (let page = 0; page < pages; page += 1) {
    const at = (RAM_ADDRESS + page * PAGE_BYTES) / 4;
    if (Atomics.load(words, PAGE_WORDS + page) !== view[at]) continue;
    view[at]! += 1;
    kernels.guestMarkDirty(DIRTY_LOG_ADDRESS, page);
  }
}
Atomics.store(words, ENDED, 1);
Atomics.notify(words, ENDED);
