import { beginWorkerProgram } from '../../session/worker-program.ts';
import type { ToBlockThread } from '../messages.ts';
import { BlockThread } from './block-thread.ts';

const port = beginWorkerProgram();
// With its port closed the thread ends by itself.
const thread = new BlockThread(
  (message) => port.postMessage(message),
  () => port.close(),
);
port.on('message', (message: ToBlockThread) => thread.receive(message));
