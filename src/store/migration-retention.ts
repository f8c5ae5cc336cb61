import { isEnded, MIGRATION_STATUSES } from '../domain/migration/status.ts';
import type { Connection } from './transaction.ts';

/** Newest migrations that have ended whose samples are kept. The migrations themselves, and their passes, always are. */
export const SAMPLED_MIGRATIONS_KEPT = 1000;
/** Samples removed by one statement, and such statements after one new migration. */
const SAMPLES_PER_BATCH = 2000;
const BATCHES_MAX = 8;

/** The statuses of migrations that have not ended, as a list for SQL. */
export const UNFINISHED = MIGRATION_STATUSES.filter((status) => !isEnded(status))
  .map((status) => `'${status}'`)
  .join(', ');

/**
 * What removes the samples that the retention no longer covers: a little after each new migration, in batches, so that
 * no statement takes long. Those of a migration that has not ended are never removed.
 */
export function samplePruner(connection: Connection): () => void {
  const surplus = connection.prepare<[number], { readonly id: string }>(
    `SELECT id FROM migrations WHERE has_samples = 1 AND status NOT IN (${UNFINISHED})
      ORDER BY sequence DESC LIMIT 1 OFFSET ?`,
  );
  const removeSamples = connection.prepare<[string, string, number]>(
    `DELETE FROM migration_samples WHERE migration_id = ? AND position IN
      (SELECT position FROM migration_samples WHERE migration_id = ? ORDER BY position LIMIT ?)`,
  );
  const mark = connection.prepare<[string]>('UPDATE migrations SET has_samples = 0 WHERE id = ?');
  return () => {
    for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
      const oldest = surplus.get(SAMPLED_MIGRATIONS_KEPT);
      if (oldest === undefined) return;
      const { changes } = removeSamples.run(oldest.id, oldest.id, SAMPLES_PER_BATCH);
      if (changes < SAMPLES_PER_BATCH) mark.run(oldest.id);
    }
  };
}
