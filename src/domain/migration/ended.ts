import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';
import type { MigrationRecord } from '../store-ports.ts';
import { withLiveFigures } from './row-figures.ts';

/** The row of a migration, with its figures of now if it runs. @throws DomainError if there is none. */
export function migrationRecord(context: Context, id: string): MigrationRecord {
  const record = context.store.migrations.get(id);
  if (record === null) throw new DomainError('migration_not_found', `There is no migration '${id}'.`);
  return withLiveFigures(context, record);
}

/** The row once the migration has ended, or as it is after `timeoutMs` or when `signal` aborts. */
export async function endedMigration(
  context: Context,
  id: string,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<MigrationRecord> {
  migrationRecord(context, id);
  const { current } = context;
  if (current?.id === id) await context.changes.until(() => current.isEnded, timeoutMs, signal);
  return migrationRecord(context, id);
}
