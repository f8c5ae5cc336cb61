import { cancelMigration } from '../client-migration.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { oneLine } from '../output/plain-text.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* cancel: the migration that runs, and what came of it. */

const SAID: Readonly<Record<string, string>> = {
  cancelled: 'cancelled',
  'already-completed': 'too late: the migration had completed',
  'already-failed': 'too late: the migration had failed',
  'not-cancellable': 'it cannot be cancelled any more: the guest has been handed over',
  'nothing-to-cancel': 'there is no migration to cancel',
};

/** Ends with 0 only if the cancel won. */
export function runCancelCommand(command: Common, world: World): Promise<ExitStatus> {
  return guarded({ ...command, what: 'cancel' }, world, async (client) => {
    const outcome = await cancelMigration(client);
    const isDone = outcome === 'cancelled';
    if (command.json) world.out(jsonLine({ outcome }));
    else if (isDone) world.out(`${SAID[outcome]}\n`);
    else world.err(`vmferry: cancel: ${oneLine(SAID[outcome] ?? outcome)}\n`);
    return isDone ? EXIT.done : EXIT.failed;
  });
}
