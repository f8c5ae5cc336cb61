import type { Connection } from './database.ts';

/** Newest migrations that are kept, with their passes and samples. */
export const MIGRATIONS_KEPT = 1000;
/** Samples removed by one statement, and such statements after one new migration. */
const SAMPLES_PER_BATCH = 2000;
const BATCHES_MAX = 8;

/**
 * Removes what the retention no longer covers, a little after each new migration: samples in batches first, then the
 * row itself, so that no statement takes long. A migration that has not ended is never removed.
 */
export function pruneMigrations(connection: Connection): void {
  const surplus = connection.prepare<[number], { readonly id: string }>(
    `SELECT id FROM migrations WHERE status IN ('completed', 'failed', 'cancelled')
      ORDER BY sequence DESC LIMIT 1 OFFSET ?`,
  );
  const removeSamples = connection.prepare<[string, string, number]>(
    `DELETE FROM migration_samples WHERE migration_id = ? AND position IN
      (SELECT position FROM migration_samples WHERE migration_id = ? ORDER BY position LIMIT ?)`,
  );
  const removeMigration = connection.prepare<[string]>('DELETE FROM migrations WHERE id = ?');
  for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
    const oldest = surplus.get(MIGRATIONS_KEPT);
    if (oldest === undefined) return;
    const { changes } = removeSamples.run(oldest.id, oldest.id, SAMPLES_PER_BATCH);
    if (changes < SAMPLES_PER_BATCH) removeMigration.run(oldest.id);
  }
}
