import type { MessagePort } from 'node:worker_threads';
import type { MigrationEnd } from '../../domain/ports/migration-session.ts';
import { SourceMigration } from '../phases/source.ts';
import { TargetMigration } from '../phases/target.ts';
import type { FromWorker, SharedCells, ToWorker } from './transfer-messages.ts';
import { beginWorkerProgram, startBeating } from './worker-program.ts';

const HEARTBEAT_MS = 100;

/**
 * The program of a transfer worker: it receives an order, runs the migration, and reports its end. A target that has kept
 * its listener then waits for an order for the next sender, or for the order to stop listening.
 */
function serve(port: MessagePort): void {
  const post = (message: FromWorker) => port.postMessage(message);
  const end = (result: MigrationEnd) => {
    const isListening = (target?.kept ?? null) !== null;
    post({ type: 'ended', end: result, isListening });
    if (!isListening) port.close();
  };
  let stopBeating = (): void => {};
  const beat = ({ heartbeat }: SharedCells) => {
    stopBeating();
    stopBeating = startBeating(heartbeat, HEARTBEAT_MS).stop;
  };
  let source: SourceMigration | null = null;
  let target: TargetMigration | null = null;
  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'source':
        beat(message.cells);
        source = new SourceMigration(message.plan, message.cells, post);
        void source.run().then(end);
        break;
      case 'target':
        beat(message.cells);
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

serve(beginWorkerProgram());
