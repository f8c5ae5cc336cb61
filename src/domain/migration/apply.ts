import type { Context } from '../context.ts';
import type { Emit } from '../events.ts';
import { type ExactJson, writeExactJson } from '../exact-json.ts';
import { withReserve } from '../jobs/with-reserve.ts';
import { logMigrationEnded, logMigrationShared } from '../outcomes.ts';
import type { MigrationRecord } from '../store-ports.ts';
import type { MigrationEnd, TransferError } from '../transfer-port.ts';
import type { CurrentMigration } from './current-migration.ts';
import { isAllowed } from './lifecycle.ts';
import { queryMigration } from './query.ts';
import { endOf } from './record.ts';
import { finalFigures } from './row-figures.ts';
import type { MigrationStatus } from './status.ts';

/*
 * The one place where a migration's status changes on this side of the shared word: the row, the event and the answer
 * of query-migrate change together.
 */

/**
 * Takes a status that the engine told, or that a cancel won. A word that comes late (`active` behind `cancelling`) is
 * dropped: the shared word had decided otherwise before it arrived.
 */
export function applyStatus(context: Context, migration: CurrentMigration, to: MigrationStatus): void {
  if (migration.status === to || !isAllowed(migration.status, to)) return;
  migration.status = to;
  saveAndTell(context, () => save(context, migration, { status: to }));
  context.changes.bump();
}

/** Takes the id that both sides know the migration under. */
export function applySharedId(context: Context, migration: CurrentMigration, id: string): void {
  if (migration.isEnded) return;
  migration.sharedId = id;
  const { savedStatus: status } = migration;
  saveAndTell(context, () =>
    context.store.transaction(() =>
      context.store.migrations.transition(migration.id, status, { status, sharedId: id }),
    ),
  );
  logMigrationShared(context, migration);
}

/** How a migration ended, as it is saved and told. */
export type Ending = {
  readonly status: MigrationEnd['status'];
  readonly error: TransferError | null;
  readonly guest: MigrationEnd['guest'] | null;
};

/** Takes the end of a migration: the figures are frozen, the row is closed, and everyone who waits is told. */
export function applyEnd(context: Context, migration: CurrentMigration, ending: Ending): void {
  if (migration.isEnded) return;
  if (ending.status === 'cancelled') applyStatus(context, migration, 'cancelling');
  saveAndTell(context, () => migration.recorder?.stop());
  saveAndTell(context, () => migration.throttle?.end());
  migration.status = ending.status;
  migration.error = ending.error;
  const revision = migration.liveRevision();
  migration.freeze();
  saveAndTell(context, () =>
    save(context, migration, {
      status: ending.status,
      endedAt: endOf(context, migration),
      errorCode: ending.error?.code ?? null,
      errorDescription: ending.error?.message ?? null,
      guest: ending.guest,
      sharedId: migration.sharedId,
      resultJson: writeExactJson(queryMigration(context) as ExactJson),
      ...finalFigures(migration),
    }),
  );
  context.tally.migrationEnded(migration.direction, ending.status);
  logMigrationEnded(context, migration, ending);
  context.changes.bump(revision);
  migration.settle();
}

/** Writes the event of a status. The capability `events` decides only whether QMP sockets are told. */
export function emitStatus(emit: Emit, { id }: Pick<MigrationRecord, 'id'>, status: MigrationStatus): void {
  emit('MIGRATION', { status, id });
}

/** The migration goes on even if it cannot be written down; the fault is reported and the next write catches up. */
export function saveAndTell(context: Context, work: () => void): void {
  try {
    withReserve(context.store, work);
  } catch (error) {
    context.report(error);
  }
}

type RowChange = Parameters<Context['store']['migrations']['transition']>[2];

function save(context: Context, migration: CurrentMigration, change: RowChange): void {
  context.events.commit((emit) => {
    if (!context.store.migrations.transition(migration.id, migration.savedStatus, change)) {
      throw new Error(`the row of migration ${migration.id} is not in state ${migration.savedStatus}`);
    }
    emitStatus(emit, migration, change.status);
  });
  migration.savedStatus = change.status;
}
