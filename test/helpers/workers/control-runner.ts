// A thread that enters and leaves a VcpuControl as a vCPU does. Its words: the order to end, the number of threads
// inside, and the number of entries.

import { workerData } from 'node:worker_threads';
import { VcpuControl } from '../../../src/engine/memory/vcpu-control.ts';
import { END, ENTRIES, INSIDE } from './control-words.ts';

type Order = { readonly control: SharedArrayBuffer; readonly words: Int32Array<SharedArrayBuffer> };

const { control: buffer, words } = workerData as Order;
const control = new VcpuControl(buffer);
while (Atomics.load(words, END) === 0) {
  if (!control.enter()) {
    const holds = control.holds();
    if (holds !== 0) control.park(holds);
    continue;
  }
  Atomics.add(words, INSIDE, 1);
  Atomics.add(words, ENTRIES, 1);
  Atomics.notify(words, ENTRIES);
  Atomics.sub(words, INSIDE, 1);
  control.leave();
}
