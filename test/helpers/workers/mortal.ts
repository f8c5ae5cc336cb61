// Orders a block thread of a test to die, to hang, or to let its disk accept no more data (mortal-block-thread.ts).

import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryDirectory } from '../app.ts';

/** The moment from which a disk accepts no more data: the next write of this kind, or the write after it. */
export type Moment = 'now' | 'room' | 'table' | 'header' | 'behind header' | 'manifest';

export type MortalThread = {
  readonly workerUrl: URL;
  /** Resolves when the thread has executed the order. */
  tell(what: 'die' | 'exit' | 'fill' | 'hang' | `stall ${Moment}`): Promise<void>;
};

/** For the block threads that this test starts from now on. */
export function mortalThread(): MortalThread {
  const order = join(temporaryDirectory(), 'order');
  process.env.VMFERRY_TEST_BLOCK_THREAD_ORDER = order;
  onTestFinished(() => void delete process.env.VMFERRY_TEST_BLOCK_THREAD_ORDER);
  return {
    workerUrl: new URL('mortal-block-thread.ts', import.meta.url),
    tell: async (what) => {
      // The file appears atomically.
      writeFileSync(`${order}.new`, what);
      renameSync(`${order}.new`, order);
      while (existsSync(order)) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
