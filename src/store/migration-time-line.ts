import { isEnded, MIGRATION_STATUSES } from '../domain/migration/migration-status.ts';
import type { PassFigures } from '../domain/ports/migration-session.ts';
import type { MigrationRepository, MigrationSample } from '../domain/ports/store.ts';
import { type Connection, inTransaction } from './database-file.ts';
import { readCursor, writeCursor } from './row-order.ts';

type SampleRow = {
  readonly position: number;
  readonly at_ms: number;
  readonly status: MigrationSample['status'];
  readonly transferred_bytes: number;
  readonly remaining_bytes: number;
  readonly bandwidth: number;
  readonly dirty_pages_rate: number;
  readonly expected_downtime_ms: number;
  readonly pass: number;
};

const PASS_COLUMNS = `pass, started_ms AS startedMs, duration_ms AS durationMs, sent_bytes AS sentBytes,
  normal_pages AS normalPages, duplicate_pages AS duplicatePages, dirty_bytes AS dirtyBytes`;

type TimeLine = Pick<MigrationRepository, 'addPass' | 'addSamples' | 'passes' | 'samples' | 'lastSample'>;

/** Passes and samples of migrations, in the order of time. */
export function timeLine(connection: Connection): TimeLine {
  const addPass = connection.prepare<[string, ...number[]]>(
    `INSERT INTO migration_passes (migration_id, pass, started_ms, duration_ms, sent_bytes, normal_pages,
      duplicate_pages, dirty_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  );
  const passes = connection.prepare<[string], PassFigures>(
    `SELECT ${PASS_COLUMNS} FROM migration_passes WHERE migration_id = ? ORDER BY pass`,
  );
  const lastPosition = connection.prepare<[string], { readonly position: number | null }>(
    'SELECT MAX(position) AS position FROM migration_samples WHERE migration_id = ?',
  );
  const addSample = connection.prepare<[string, number, ...(number | string)[]]>(
    `INSERT INTO migration_samples (migration_id, position, at_ms, status, transferred_bytes, remaining_bytes,
      bandwidth, dirty_pages_rate, expected_downtime_ms, pass) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const samples = connection.prepare<[string, number, number], SampleRow>(
    `SELECT position, at_ms, status, transferred_bytes, remaining_bytes, bandwidth, dirty_pages_rate,
      expected_downtime_ms, pass FROM migration_samples WHERE migration_id = ? AND position > ? ORDER BY position
      LIMIT ?`,
  );
  const lastSample = connection.prepare<[string], SampleRow>(
    `SELECT position, at_ms, status, transferred_bytes, remaining_bytes, bandwidth, dirty_pages_rate,
      expected_downtime_ms, pass FROM migration_samples WHERE migration_id = ? ORDER BY position DESC LIMIT 1`,
  );
  return {
    addPass: (id, figures) => {
      const { pass, startedMs, durationMs, sentBytes, normalPages, duplicatePages, dirtyBytes } = figures;
      addPass.run(id, pass, startedMs, durationMs, sentBytes, normalPages, duplicatePages, dirtyBytes);
    },
    addSamples: (id, added) => {
      inTransaction(connection, () => {
        const last = lastPosition.get(id)?.position ?? 0;
        for (const [index, sample] of added.entries()) addSample.run(id, last + index + 1, ...valuesOf(sample));
      });
    },
    passes: (id) => passes.all(id),
    lastSample: (id) => {
      const row = lastSample.get(id);
      return row === undefined ? null : fromRow(row);
    },
    samples: (id, { limit, cursor }) => {
      const list = `samples/${id}`;
      const rows = samples.all(id, cursor === null ? 0 : readCursor(list, cursor), limit + 1);
      const items = rows.slice(0, limit);
      return {
        items: items.map(fromRow),
        next: rows.length > limit ? writeCursor(list, items.at(-1)!.position) : null,
      };
    },
  };
}

function valuesOf(sample: MigrationSample): (number | string)[] {
  return [
    sample.atMs,
    sample.status,
    sample.transferredBytes,
    sample.remainingBytes,
    sample.bandwidth,
    sample.dirtyPagesRate,
    sample.expectedDowntimeMs,
    sample.pass,
  ];
}

function fromRow(row: SampleRow): MigrationSample {
  return {
    atMs: row.at_ms,
    status: row.status,
    transferredBytes: row.transferred_bytes,
    remainingBytes: row.remaining_bytes,
    bandwidth: row.bandwidth,
    dirtyPagesRate: row.dirty_pages_rate,
    expectedDowntimeMs: row.expected_downtime_ms,
    pass: row.pass,
  };
}

/** Number of ended migrations, the newest ones, whose samples are kept. Migrations and their passes are kept for ever. */
export const SAMPLED_MIGRATIONS_KEPT = 1000;
/** Samples that one statement removes at most, and number of these statements after each new migration. */
const SAMPLES_PER_BATCH = 2000;
const BATCHES_MAX = 8;

/** SQL list of the statuses of migrations that have not ended. */
export const UNFINISHED = MIGRATION_STATUSES.filter((status) => !isEnded(status))
  .map((status) => `'${status}'`)
  .join(', ');

/**
 * @returns a function, to be called after each new migration, that removes old samples. It removes them in small batches, so
 * that no statement takes long. Samples of a migration that has not ended are never removed.
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
