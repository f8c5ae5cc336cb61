import { parentPort } from 'node:worker_threads';
import { giveWay } from '../../session/thread-priority.ts';
import type { ToBlockThread } from '../messages.ts';
import { BlockThread } from './block-thread.ts';

if (parentPort === null) throw new Error('this file is a worker thread');
giveWay();
const port = parentPort;
// With its port closed the thread ends by itself.
const thread = new BlockThread(
  (message) => port.postMessage(message),
  () => port.close(),
);
port.on('message', (message: ToBlockThread) => thread.receive(message));
