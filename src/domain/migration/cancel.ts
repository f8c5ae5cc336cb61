import type { CurrentMigration, Migrations } from './current-migration.ts';
import type { CancelOutcome } from './lifecycle.ts';
import type { MigrationJournal } from './migration-journal.ts';
import type { MigrationStatus } from './status.ts';

export type CancelParts = { readonly migrations: Migrations; readonly journal: MigrationJournal };

/**
 * Cancels the migration that goes out, or that a sender sends here. The shared word decides at once who wins; this
 * resolves when the end that the outcome names has been saved and published, so that a caller who asks again sees the same.
 */
export async function cancelMigration({ migrations, journal }: CancelParts): Promise<CancelOutcome> {
  const { current } = migrations;
  const transfer = current?.outgoing() ?? null;
  if (current === null) return 'nothing-to-cancel';
  if (current.direction === 'incoming') return cancelIncoming(migrations, current);
  if (current.isEnded || transfer === null) return outcomeOf(current.status);
  const outcome = transfer.cancel();
  if (outcome === 'not-cancellable' || outcome === 'nothing-to-cancel') return outcome;
  if (outcome === 'cancelled') journal.applyStatus(current, 'cancelling');
  await current.settled;
  return outcomeOf(current.status);
}

/** At the target: ends a migration whose sender never ends it. A listener that no sender has reached is ended otherwise. */
async function cancelIncoming({ listener }: Migrations, current: CurrentMigration): Promise<CancelOutcome> {
  if (listener === null || listener.sent !== current) return 'nothing-to-cancel';
  await listener.cancelSent();
  return current.status === 'completed' ? 'already-completed' : 'cancelled';
}

function outcomeOf(status: MigrationStatus): CancelOutcome {
  switch (status) {
    case 'completed':
      return 'already-completed';
    case 'failed':
      return 'already-failed';
    case 'cancelled':
      return 'cancelled';
    default:
      return 'nothing-to-cancel';
  }
}
