import type { Surroundings } from './context.ts';
import type { JobRecord, MigrationRecord } from './store-ports.ts';
import type { MigrationEnd, TransferError } from './transfer-port.ts';

/*
 * The lines that the log has for every migration and every job: one at its begin and one at its end, level info, and
 * one between them when a migration's sides share an id; the end
 * of one that failed has level warn, with the error's code and description.
 */

type Log = Pick<Surroundings, 'note'>;

/** A migration, as far as a line of the log names it. */
type EndedMigration = Pick<MigrationRecord, 'id' | 'direction' | 'sharedId'>;

export function logMigrationBegan({ note }: Log, { id, direction, uri }: MigrationRecord): void {
  note('a migration began', { migration: id, direction, uri: withoutCommand(uri) });
}

/** Logs the id that both sides know a migration under, from which on their logs can be laid side by side. */
export function logMigrationShared({ note }: Log, { id, direction, sharedId }: EndedMigration): void {
  note('both sides of a migration know it by one id', { migration: id, direction, 'shared-id': sharedId });
}

/** Logs how a migration ended: `guest` says who has the guest now, null if the service does not know of one. */
export function logMigrationEnded(
  { note }: Log,
  { id, direction, sharedId }: EndedMigration,
  ending: Pick<MigrationEnd, 'status'> & {
    readonly error: TransferError | null;
    readonly guest: MigrationEnd['guest'] | null;
  },
): void {
  const { status, error, guest } = ending;
  const shared = sharedId === null ? {} : { 'shared-id': sharedId };
  const details = { migration: id, direction, guest, ...shared };
  if (status !== 'failed') note(`a migration ${ENDED[status]}`, details);
  else note('a migration failed', { ...details, code: error?.code, reason: error?.message }, 'warn');
}

const ENDED = { completed: 'completed', cancelled: 'was cancelled' } as const;

/** A command line may hold a password: only its kind of address is logged. */
function withoutCommand(uri: string): string {
  return uri.startsWith('exec:') ? 'exec:' : uri;
}

export function logJobBegan({ note }: Log, { id, type }: JobRecord): void {
  note('a job began', { job: id, type });
}

/** Logs how a job ended. A job that has no outcome yet has not ended and gets no line. */
export function logJobEnded({ note }: Log, record: JobRecord): void {
  const { id, type, outcome, errorCode, errorDescription, durationMs } = record;
  const details = { job: id, type, ms: durationMs };
  if (outcome === 'completed') note('a job completed', details);
  else if (outcome === 'cancelled') note('a job was cancelled', details);
  else if (outcome === 'failed')
    note('a job failed', { ...details, code: errorCode, reason: errorDescription }, 'warn');
}
