import { once } from 'node:events';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';

const PRIORITY = new URL('../../../src/engine/session/worker-program.ts', import.meta.url);

test.runIf(process.platform === 'linux')(
  'a thread that lowers its priority does not change the priority of the process',
  async () => {
    const before = getPriority();
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
     const { readlinkSync } = require('node:fs');
     const { getPriority } = require('node:os');
     import(${JSON.stringify(PRIORITY.href)}).then(({ lowerPriority }) => {
       lowerPriority();
       const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
       parentPort.postMessage(getPriority(thread));
     });`,
      { eval: true },
    );
    const [nice] = (await once(worker, 'message')) as [number];
    await once(worker, 'exit');
    expect(nice).toBe(5);
    expect(getPriority()).toBe(before);
  },
);
