// Threads of tests also run the build, if it is newer than the sources: the same code in a few files instead of
// dozens. Tests start thousands of threads, and loading the sources takes between a fifth and two thirds of a start.

import { syncBuiltinESMExports } from 'node:module';
import threads, { Worker, type WorkerOptions } from 'node:worker_threads';
import { isBuilt } from '../../bin/built.js';
import { builtProgram, useBuilt } from '../helpers/workers/built-program.ts';

class BuiltWorker extends Worker {
  constructor(program: string | URL, options?: WorkerOptions) {
    super(program instanceof URL ? builtProgram(program) : program, options);
  }
}

// Test files that share a process come here one after the other.
if (threads.Worker.name !== BuiltWorker.name && isBuilt()) {
  useBuilt();
  threads.Worker = BuiltWorker;
  syncBuiltinESMExports();
}
