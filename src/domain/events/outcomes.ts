import type { JobOutcome } from '../jobs/job-lifecycle.ts';
import type { MigrationEnd, TransferError } from '../ports/migration-session.ts';
import type { Note } from '../ports/process.ts';
import type { JobRecord, MigrationDirection, MigrationRecord, StoreFigures } from '../ports/store.ts';
import type { TransferErrorCode } from '../ports/transfer-errors.ts';

/*
 * Log lines of migrations and jobs: one at the start and one at the end of each (level warn, with error code, if it
 * failed), and one when both sides have agreed on an id.
 */

/** Error code of a migration or job during which the service stopped. */
export const SERVICE_STOPPED = 'service_stopped' satisfies TransferErrorCode;

/** The members of a migration that its log lines show. */
type NamedMigration = Pick<MigrationRecord, 'id' | 'direction' | 'sharedId'>;

export function logMigrationBegan(note: Note, { id, direction, uri }: MigrationRecord): void {
  note('a migration began', { migration: id, direction, uri: withoutCommand(uri) });
}

/** Logs the id that both sides use for a migration, so that the lines of both logs can be related. */
export function logMigrationShared(note: Note, { id, direction, sharedId }: NamedMigration): void {
  note('both sides of a migration know it by one id', { migration: id, direction, 'shared-id': sharedId });
}

/** Logs the end of a migration. `guest`: its owner; null: unknown to the service. */
export function logMigrationEnded(
  note: Note,
  { id, direction, sharedId }: NamedMigration,
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

/** Removes the command of an exec: address, which may contain a password. */
function withoutCommand(uri: string): string {
  return uri.startsWith('exec:') ? 'exec:' : uri;
}

export function logJobBegan(note: Note, { id, type }: JobRecord): void {
  note('a job began', { job: id, type });
}

/** Logs the end of a job. A job without an outcome has not ended and gets no line. */
export function logJobEnded(note: Note, record: JobRecord): void {
  const { id, type, outcome, errorCode, errorDescription, durationMs } = record;
  const details = { job: id, type, ms: durationMs };
  if (outcome === 'completed') note('a job completed', details);
  else if (outcome === 'cancelled') note('a job was cancelled', details);
  else if (outcome === 'failed')
    note('a job failed', { ...details, code: errorCode, reason: errorDescription }, 'warn');
}

/* Numbers of migrations and jobs that ended in this process, for metrics. Nothing else depends on them. */

export type MigrationCount = {
  readonly direction: MigrationDirection;
  readonly outcome: MigrationEnd['status'];
  readonly count: number;
};
export type JobCount = { readonly type: string; readonly outcome: JobOutcome; readonly count: number };

/** Figures of the service, for metrics. All but the size of the store start at 0 in each process. */
export type ServiceFigures = {
  readonly migrations: readonly MigrationCount[];
  readonly jobs: readonly JobCount[];
  readonly snapshots: number;
  /** Date of the newest consistent snapshot on all nodes; null if there is none. */
  readonly lastGoodSnapshotMs: number | null;
  readonly store: StoreFigures;
};

/** Counts by subject and outcome. */
class Counts {
  readonly #counts = new Map<string, Map<string, number>>();

  add(of: string, outcome: string): void {
    const row = this.#counts.get(of) ?? new Map<string, number>();
    row.set(outcome, (row.get(outcome) ?? 0) + 1);
    this.#counts.set(of, row);
  }

  rows(): readonly { readonly of: string; readonly outcome: string; readonly count: number }[] {
    return [...this.#counts].flatMap(([of, row]) => [...row].map(([outcome, count]) => ({ of, outcome, count })));
  }
}

export class OutcomeCounts {
  readonly #migrations = new Counts();
  readonly #jobs = new Counts();

  migrationEnded(direction: MigrationDirection, outcome: MigrationEnd['status']): void {
    this.#migrations.add(direction, outcome);
  }

  jobEnded(type: string, outcome: JobOutcome): void {
    this.#jobs.add(type, outcome);
  }

  migrations(): readonly MigrationCount[] {
    return this.#migrations.rows().map(({ of, outcome, count }) => ({
      direction: of as MigrationDirection,
      outcome: outcome as MigrationEnd['status'],
      count,
    }));
  }

  jobs(): readonly JobCount[] {
    return this.#jobs.rows().map(({ of, outcome, count }) => ({ type: of, outcome: outcome as JobOutcome, count }));
  }
}
