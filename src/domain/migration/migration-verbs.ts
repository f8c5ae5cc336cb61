import { DomainError } from '../errors.ts';
import type { Settings } from '../settings/settings.ts';
import type { CurrentMigration, Migrations } from './current-migration.ts';
import type { MigrationJournal } from './migration-journal.ts';
import type { CancelOutcome, MigrationStatus } from './migration-status.ts';

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

/*
 * The verbs of post-copy. No migration here ever enters that phase, since the capability cannot be switched on: each
 * verb is refused as QEMU refuses it outside of that phase, in the same order of reasons.
 */

/** migrate-pause. */
export function pausePostcopy({ status }: Migrations): never {
  throw new DomainError(
    'not_in_postcopy',
    `A migration can be paused in postcopy-active and postcopy-recover only; it is in '${status}'.`,
  );
}

/** migrate-recover. */
export function recoverPostcopy({ status }: Migrations, uri: string): never {
  throw new DomainError(
    'not_postcopy_paused',
    `Nothing waits to be recovered from ${uri}: the migration is in '${status}', not in postcopy-paused.`,
  );
}

/** migrate-start-postcopy. */
export function startPostcopy({ status }: Migrations, settings: Pick<Settings, 'has'>): never {
  if (!settings.has('postcopy-ram')) {
    throw new DomainError(
      'postcopy_not_enabled',
      'The capability postcopy-ram has to be on before a migration starts.',
    );
  }
  throw new DomainError(
    'not_in_expected_state',
    `No migration that could go on in post-copy runs; it is in '${status}'.`,
  );
}
