import { beginWorkerProgram } from '../../session/worker-program.ts';
import type { ToBlockThread } from '../block-messages.ts';
import { BlockThread } from './block-thread.ts';

const port = beginWorkerProgram();
// The thread ends when its port is closed.
const thread = new BlockThread(
  (message) => port.postMessage(message),
  () => port.close(),
);
port.on('message', (message: ToBlockThread) => thread.receive(message));
