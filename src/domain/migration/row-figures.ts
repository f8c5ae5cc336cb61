import type { Context } from '../context.ts';
import type { MigrationFigures } from '../settings/declared-settings.ts';
import type { MigrationRecord } from '../store-ports.ts';
import type { CurrentMigration } from './current-migration.ts';

/* Size, time and downtime of a migration as its row shows them: figures of the transfer while it runs, then stored ones. */

type RowFigures = Pick<MigrationRecord, 'transferredBytes' | 'totalTimeMs' | 'downtimeMs'>;

/** The figures to be stored at the end; null where the engine never took the plan. */
export function finalFigures(migration: CurrentMigration): RowFigures {
  return figuresOf(migration, migration.figures());
}

/** The row with the figures of now, if it is of the migration under way and its stream has begun. */
export function withLiveFigures({ current }: Context, record: MigrationRecord): MigrationRecord {
  if (current === null || current.id !== record.id || current.isEnded || current.status === 'setup') return record;
  return { ...record, ...figuresOf(current, current.figuresOfRevision()) };
}

/** Only a source knows the downtime, and only once the guest has left: no other end measures it. */
function figuresOf({ direction, status }: CurrentMigration, figures: MigrationFigures | null): RowFigures {
  if (figures === null) return { transferredBytes: null, totalTimeMs: null, downtimeMs: null };
  const { transferredBytes, totalTimeMs, downtimeMs } = figures;
  const isMeasured = direction === 'outgoing' && status === 'completed';
  return { transferredBytes, totalTimeMs, downtimeMs: isMeasured ? downtimeMs : null };
}
