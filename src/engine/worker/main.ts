import { type MessagePort, parentPort } from 'node:worker_threads';
import type { MigrationEnd } from '../../domain/ports.ts';
import type { FromWorker, ToWorker } from '../messages.ts';
import { SourceMigration } from './source.ts';
import { TargetMigration } from './target.ts';

/** A transfer worker: takes one order, works it off, tells how it ended. The main thread ends the thread. */
function serve(port: MessagePort): void {
  const post = (message: FromWorker) => port.postMessage(message);
  // With its port closed the thread ends by itself as soon as its channels have closed.
  const end = (result: MigrationEnd) => {
    post({ type: 'ended', end: result });
    port.close();
  };
  let source: SourceMigration | null = null;
  let target: TargetMigration | null = null;
  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'source':
        source = new SourceMigration(message.plan, message.words, post);
        void source.run().then(end);
        break;
      case 'target':
        target = new TargetMigration(message.plan, message.words, post);
        void target.run().then(end);
        break;
      case 'wake':
        source?.wake();
        break;
      case 'continue':
        source?.continueSwitchover();
        break;
      case 'started':
        target?.started();
        break;
      case 'refused':
        target?.refused(message.error);
        break;
      case 'abort':
        target?.refused({ code: 'incoming_aborted', message: 'the incoming migration was given up' });
        break;
    }
  });
}

if (parentPort === null) throw new Error('this file is a worker thread');
serve(parentPort);
