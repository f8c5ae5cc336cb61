import { DomainError } from '../errors.ts';
import type { Changes, Revisions } from '../events/event-hub.ts';
import type { MigrationRecord, OnInsert } from '../ports/store.ts';
import type { Settings } from '../settings/settings.ts';
import type { IncomingArguments, MigrateArguments } from './channels.ts';
import type { CurrentMigration, Migrations } from './current-migration.ts';
import { type IncomingParts, startIncoming, stopListening } from './incoming-start.ts';
import { type HistoryParts, migrationRecord } from './migration-history.ts';
import type { MigrationJournal } from './migration-journal.ts';
import { type MigrationProgress, progressOf } from './migration-progress.ts';
import type { CancelOutcome, MigrationStatus } from './migration-status.ts';
import { type OutgoingParts, startMigration } from './outgoing-start.ts';
import { type MigrationInfo, type QueryParts, queryMigration } from './query.ts';

/** MigrationThreadInfo of the QAPI schema; `thread-id` is the operating system's. */
export type MigrationThreadInfo = { readonly name: string; readonly 'thread-id': number };

export interface MigrationUseCases extends Revisions {
  /** query-migrate. */
  query(): MigrationInfo;
  /** Revisions of the machine, its migrations and its settings, without figures. */
  readonly state: Revisions;
  /** The newest migration of this process; null before the first. */
  newest(): { readonly id: string; readonly status: MigrationStatus } | null;
  progress(): MigrationProgress;
  /** Starts an outgoing migration; its failure to connect is reported by its status. */
  start(arguments_: MigrateArguments, onInsert?: OnInsert<MigrationRecord>): MigrationRecord;
  /** Starts to listen; resolves when the address is bound. */
  incoming(arguments_: IncomingArguments, onInsert?: OnInsert<MigrationRecord>): Promise<MigrationRecord>;
  /** Stops a listener without a sender; resolves when its address is free. */
  stopListening(): Promise<void>;
  /** Resolves when the migration has the status that the outcome names. */
  cancel(): Promise<CancelOutcome>;
  /** Threads of the migration under way. */
  threads(): readonly MigrationThreadInfo[];
  /**
   * migrate-continue: continues a migration that waits in this state. @throws DomainError if it is in another state.
   */
  continue(state: MigrationStatus): void;
  /** The three verbs of a post-copy migration. */
  pause(): void;
  recover(uri: string): void;
  startPostcopy(): void;
  /** Resolves when the migration has ended, or after `timeoutMs`. */
  ended(id: string, timeoutMs: number, signal?: AbortSignal): Promise<MigrationRecord>;
}

export type MigrationParts = OutgoingParts & IncomingParts & HistoryParts & QueryParts & { readonly changes: Changes };

/** All use cases for the migrations of one machine. */
export function migrationUseCases(parts: MigrationParts): MigrationUseCases {
  const { migrations, changes, settings } = parts;
  return {
    query: () => queryMigration(parts),
    revision: () => changes.revision(),
    changed: (seen, timeoutMs, signal) => changes.changed(seen, timeoutMs, signal),
    state: {
      revision: () => changes.stateRevision,
      changed: (seen, timeoutMs, signal) => changes.stateChanged(seen, timeoutMs, signal),
    },
    newest: () => {
      const { current } = migrations;
      return current === null ? null : { id: current.id, status: current.status };
    },
    progress: () => progressOf(migrations.current, settings),
    start: (arguments_, onInsert) => startMigration(parts, arguments_, onInsert),
    incoming: (arguments_, onInsert) => startIncoming(parts, arguments_, onInsert),
    stopListening: () => stopListening(parts),
    cancel: () => cancelMigration(parts),
    continue: (state) => continueMigration(migrations, state),
    threads: () => migrationThreads(migrations),
    pause: () => pausePostcopy(migrations),
    recover: (uri) => recoverPostcopy(migrations, uri),
    startPostcopy: () => startPostcopy(migrations, settings),
    ended: (id, timeoutMs, signal) => endedMigration(parts, id, { timeoutMs, signal }),
  };
}

function continueMigration({ current }: Migrations, state: MigrationStatus): void {
  const status = current?.direction === 'outgoing' ? current.status : 'none';
  if (status !== state) {
    throw new DomainError('not_in_expected_state', `The migration is in state '${status}', not '${state}'.`);
  }
  if (state === 'pre-switchover') current?.outgoing()?.continueSwitchover();
}

/**
 * The thread of a source has its name in QEMU. QEMU has no name for the thread of a target, which gets a similar one.
 */
function migrationThreads({ running }: Migrations): readonly MigrationThreadInfo[] {
  const id = running?.transfer?.threadId() ?? null;
  if (running === null || id === null) return [];
  return [{ name: running.direction === 'outgoing' ? 'mig/src/main' : 'mig/dst/main', 'thread-id': id }];
}

/** The row once the migration has ended, or as it is after `timeoutMs` or when `signal` aborts. */
async function endedMigration(
  parts: MigrationParts,
  id: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<MigrationRecord> {
  migrationRecord(parts, id);
  const { current } = parts.migrations;
  if (current?.id === id) await parts.changes.until(() => current.isEnded, timeoutMs, signal);
  return migrationRecord(parts, id);
}

export type CancelParts = { readonly migrations: Migrations; readonly journal: MigrationJournal };

/**
 * Cancels the outgoing migration, or the one that a sender sends here. The shared status decides immediately between a
 * cancel and another end. This resolves when the end that the outcome names has been saved and published, so that a
 * later query shows the same.
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

/**
 * At a target: ends a migration whose sender does not end it. A listener without a sender is ended by `stopListening`.
 */
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
 * The commands of post-copy. No migration here ever enters post-copy, because the capability cannot be switched on.
 * Each command is refused as QEMU refuses it outside of post-copy, with the same order of reasons.
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
