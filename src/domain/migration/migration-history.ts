import type { Page } from '../cursor.ts';
import { DomainError } from '../errors.ts';
import type { PassFigures } from '../ports/migration-session.ts';
import type { MigrationQuery, MigrationRecord, MigrationSample, Store } from '../ports/store.ts';
import type { MigrationFigures } from '../settings/declared-settings.ts';
import type { CurrentMigration, Migrations } from './current-migration.ts';

/* Rows of migrations: with the figures of the session while it runs, with stored figures afterwards. */

export interface HistoryUseCases {
  /** Newest first. */
  list(query: MigrationQuery): Page<MigrationRecord>;
  get(id: string): { readonly record: MigrationRecord; readonly passes: readonly PassFigures[] };
  samples(id: string, query: { readonly limit: number; readonly cursor: string | null }): Page<MigrationSample>;
}

export type HistoryParts = { readonly store: Pick<Store, 'migrations'>; readonly migrations: Migrations };

export function historyUseCases(parts: HistoryParts): HistoryUseCases {
  const { store, migrations } = parts;
  return {
    list: (query) => {
      const { items, next } = store.migrations.list(query);
      return { items: items.map((record) => withLiveFigures(migrations, record)), next };
    },
    get: (id) => ({ record: migrationRecord(parts, id), passes: store.migrations.passes(id) }),
    samples: (id, query) => {
      migrationRecord(parts, id);
      return store.migrations.samples(id, query);
    },
  };
}

/** The row of a migration, with its current figures if it runs. @throws DomainError if there is none. */
export function migrationRecord({ store, migrations }: HistoryParts, id: string): MigrationRecord {
  const record = store.migrations.get(id);
  if (record === null) throw new DomainError('migration_not_found', `There is no migration '${id}'.`);
  return withLiveFigures(migrations, record);
}

type RowFigures = Pick<MigrationRecord, 'transferredBytes' | 'totalTimeMs' | 'downtimeMs'>;

/** The figures to store at the end; null if the engine never accepted the request. */
export function finalFigures(migration: CurrentMigration): RowFigures {
  return figuresOf(migration, migration.figures());
}

/** The row; with current figures if its migration runs and its stream has begun. */
function withLiveFigures({ running }: Migrations, record: MigrationRecord): MigrationRecord {
  if (running === null || running.id !== record.id || running.status === 'setup') return record;
  return { ...record, ...figuresOf(running, running.figuresOfRevision()) };
}

/** Only a source knows the downtime, and only after the guest has left. */
function figuresOf({ direction, status }: CurrentMigration, figures: MigrationFigures | null): RowFigures {
  if (figures === null) return { transferredBytes: null, totalTimeMs: null, downtimeMs: null };
  const { transferredBytes, totalTimeMs, downtimeMs } = figures;
  const isMeasured = direction === 'outgoing' && status === 'completed';
  return { transferredBytes, totalTimeMs, downtimeMs: isMeasured ? downtimeMs : null };
}
