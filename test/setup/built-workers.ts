// The engine's threads run what was built in tests too, if that is as new as the sources: the same code in a few files and
// not in dozens, which saves a fifth of what a start costs, and tests start thousands. For a vCPU's thread it saves nothing.

import { existsSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import threads, { Worker, type WorkerOptions } from 'node:worker_threads';
import { isBuilt } from '../../bin/built.js';
import { entryName } from '../../scripts/build/built-urls.ts';

const SRC = new URL('../../src/', import.meta.url).href;
const ENGINE = `${SRC}engine/`;
const DIST = new URL('../../dist/', import.meta.url);

class BuiltWorker extends Worker {
  constructor(program: string | URL, options?: WorkerOptions) {
    super(builtOf(program), options);
  }
}

// Test files that share a process come here one after the other.
if (threads.Worker.name !== BuiltWorker.name && isBuilt()) {
  threads.Worker = BuiltWorker;
  syncBuiltinESMExports();
}

/** @returns what a source was built to, or what was given. */
function builtOf(program: string | URL): string | URL {
  if (!(program instanceof URL && program.href.startsWith(ENGINE))) return program;
  const built = new URL(`${entryName(program.href.slice(SRC.length))}.js`, DIST);
  return existsSync(fileURLToPath(built)) ? built : program;
}
