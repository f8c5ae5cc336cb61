import { readlinkSync } from 'node:fs';
import { type MessagePort, parentPort } from 'node:worker_threads';
import type { MigrationEnd } from '../../domain/transfer-port.ts';
import { SourceMigration } from '../phases/source.ts';
import { TargetMigration } from '../phases/target.ts';
import { FigureBlock } from '../shared/figures.ts';
import { giveWay } from './thread-priority.ts';
import type { FromWorker, SharedWords, ToWorker } from './transfer-messages.ts';

/** How often the worker shows that its event loop turns. */
const HEARTBEAT_MS = 100;

/**
 * A transfer worker: takes one order, works it off, tells how it ended. The main thread ends the thread. A target that
 * has kept its listener waits for the next order, which is about the next sender, or for the word to give up.
 */
function serve(port: MessagePort): void {
  const post = (message: FromWorker) => port.postMessage(message);
  // With its port closed the thread ends by itself as soon as its channels have closed.
  const end = (result: MigrationEnd) => {
    const isListening = (target?.kept ?? null) !== null;
    post({ type: 'ended', end: result, isListening });
    if (!isListening) port.close();
  };
  let heart: NodeJS.Timeout | null = null;
  const beat = ({ figures }: SharedWords) => {
    if (heart !== null) clearInterval(heart);
    const block = new FigureBlock(figures);
    block.set('threadId', systemThreadId());
    heart = setInterval(() => block.add('heartbeat', 1), HEARTBEAT_MS).unref();
  };
  let source: SourceMigration | null = null;
  let target: TargetMigration | null = null;
  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'source':
        beat(message.words);
        source = new SourceMigration(message.plan, message.words, post);
        void source.run().then(end);
        break;
      case 'target':
        beat(message.words);
        target = new TargetMigration(message, post, target?.kept ?? null);
        void target.run().then(end);
        break;
      case 'wake':
        source?.wake();
        break;
      case 'continue':
        source?.continueSwitchover();
        break;
      case 'disks-released':
        source?.disksReleased(message.error);
        break;
      case 'capabilities':
        target?.setCapabilities(message.capabilities);
        break;
      case 'started':
        target?.started();
        break;
      case 'refused':
        target?.refused(message.error);
        break;
      case 'abort':
        target?.abort();
        break;
      case 'stop-listening':
        target?.kept?.close();
        port.close();
        break;
    }
  });
}

/** The system's id of this thread, as `ps -L` shows it; 0 where there is no /proc to ask. */
function systemThreadId(): number {
  try {
    return Number(/\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

if (parentPort === null) throw new Error('this file is a worker thread');
giveWay();
serve(parentPort);
