import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DomainError } from '../domain/errors.ts';
import type { Connection } from './database.ts';
import { inTransaction } from './transaction.ts';

/** A schema step: a file `NNNN_name.sql`, applied once, in the order of its number. */
type SchemaStep = { readonly number: number; readonly name: string; readonly path: string };

const STEP_NAME = /^(\d{4})_([a-z0-9_-]+)\.sql$/;

const STEPS_TABLE = `
  CREATE TABLE IF NOT EXISTS schema_steps (
    number BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL
  )`;

/**
 * Applies the steps that this database has not seen yet, each in a transaction of its own.
 * @throws DomainError if the database has steps that this version does not know.
 */
export function applySchema(connection: Connection, directory: string): void {
  const steps = readSteps(directory);
  const applied = appliedUpTo(connection);
  const newest = steps.at(-1)?.number ?? 0;
  if (applied > newest) {
    const detail = `The database is at schema step ${applied}; this version knows steps up to ${newest}. Use the newer version.`;
    throw new DomainError('database_newer', detail);
  }
  for (const step of steps) if (step.number > applied) applyStep(connection, step);
}

/** The newest step of a database, 0 for a new one. Writes nothing. */
function appliedUpTo(connection: Connection): number {
  const table = connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_steps'").get();
  if (table === undefined) return 0;
  const row = connection.prepare('SELECT MAX(number) AS number FROM schema_steps').get() as { number: number | null };
  return row.number ?? 0;
}

function applyStep(connection: Connection, step: SchemaStep): void {
  inTransaction(connection, () => {
    connection.exec(STEPS_TABLE);
    // The row comes first, so that two processes that apply the same step collide at once.
    connection
      .prepare('INSERT INTO schema_steps (number, name, applied_at) VALUES (?, ?, ?)')
      .run(step.number, step.name, Date.now());
    connection.exec(readFileSync(step.path, 'utf8'));
  });
}

function readSteps(directory: string): readonly SchemaStep[] {
  const steps = readdirSync(directory)
    .map((file) => ({ file, match: STEP_NAME.exec(file) }))
    .filter(({ match }) => match !== null)
    .map(({ file, match }) => ({ number: Number(match![1]), name: match![2]!, path: join(directory, file) }))
    .sort((left, right) => left.number - right.number);
  for (const [index, step] of steps.entries()) {
    if (step.number !== index + 1) throw new Error(`schema step ${index + 1} is missing in ${directory}`);
  }
  return steps;
}
