// The block thread, which dies, stands still for ever, or has a disk that takes nothing, when the environment's file says so.

import fs, { existsSync, readFileSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import '../../../src/engine/snapshot/worker/main.ts';

const order = process.env.VMFERRY_TEST_BLOCK_THREAD_ORDER ?? '';
setInterval(() => {
  if (!existsSync(order)) return;
  const what = readFileSync(order, 'utf8');
  rmSync(order);
  if (what === 'die') throw new Error('told to die');
  if (what === 'stall') {
    Object.assign(fs, { write: () => {} });
    syncBuiltinESMExports();
    return;
  }
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}, 5).unref();
