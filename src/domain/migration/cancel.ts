import type { Context } from '../context.ts';
import { applyStatus } from './apply.ts';
import type { CurrentMigration } from './current-migration.ts';
import type { CancelOutcome } from './lifecycle.ts';
import type { MigrationStatus } from './status.ts';

/**
 * Cancels the migration that goes out, or that a sender sends here. The shared word decides at once who wins; the answer comes when the end that it
 * names has been saved and told, so that a caller who asks again sees the same.
 */
export async function cancelMigration(context: Context): Promise<CancelOutcome> {
  const { current } = context;
  const transfer = current?.outgoing() ?? null;
  if (current === null) return 'nothing-to-cancel';
  if (current.direction === 'incoming') return cancelIncoming(context, current);
  if (current.isEnded || transfer === null) return outcomeOf(current.status);
  const outcome = transfer.cancel();
  if (outcome === 'not-cancellable' || outcome === 'nothing-to-cancel') return outcome;
  if (outcome === 'cancelled') applyStatus(context, current, 'cancelling');
  await current.settled;
  return outcomeOf(current.status);
}

/** At the target: a sender that never ends is got rid of. A listener that no sender has reached is ended otherwise. */
async function cancelIncoming({ reception }: Context, current: CurrentMigration): Promise<CancelOutcome> {
  if (reception === null || reception.sent !== current) return 'nothing-to-cancel';
  await reception.cancelSent();
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
