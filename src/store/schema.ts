import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { DomainError } from '../domain/errors.ts';
import { type Connection, inTransaction } from './database-file.ts';

/** A schema step: a file `NNNN_name.sql` that changes the tables. Steps are applied once each, in the order of their numbers. */
type SchemaStep = { readonly number: number; readonly name: string; readonly path: string };

const STEP_NAME = /^(\d{4})_([a-z0-9_-]+)\.sql$/;

const STEPS_TABLE = `
  CREATE TABLE IF NOT EXISTS schema_steps (
    number BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL
  )`;

/**
 * Applies the steps that this database does not have yet, each in its own transaction.
 * @throws DomainError if the database has steps that this version does not know
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

/** Files of new databases, by the paths of their steps. */
const newFiles = new Map<string, Buffer>();

/**
 * The file of a new database that has all steps. The steps are applied in memory, once for each process: each further database of
 * this process is a copy. The caller must not change the bytes.
 */
export function newDatabaseFile(directory: string): Buffer {
  const key = readSteps(directory)
    .map(({ path }) => path)
    .join();
  const known = newFiles.get(key);
  if (known !== undefined) return known;
  const model = new Database(':memory:');
  try {
    applySchema(model, directory);
    const file = model.serialize();
    newFiles.set(key, file);
    return file;
  } finally {
    model.close();
  }
}

/**
 * Compares a database with the tables that its schema steps make. Writes nothing. A database of a newer version is not compared:
 * `applySchema` refuses it.
 * @returns a clause that names the problem, or null
 */
export function faultOfSchema(connection: Connection, directory: string): string | null {
  if (namesIn(connection).size === 0) return 'it has no tables';
  if (!namesIn(connection).has('schema_steps')) return 'it is not a database of vmferry';
  const rows = connection.prepare<[], StepRow>('SELECT number, name FROM schema_steps ORDER BY number').all();
  const steps = readSteps(directory);
  if ((rows.at(-1)?.number ?? 0) > steps.length) return null;
  const applied = steps.slice(0, rows.length);
  const isOurs = applied.every(
    ({ number, name }, index) => rows[index]?.number === number && rows[index].name === name,
  );
  if (rows.length === 0 || !isOurs) return 'its table of schema steps is incomplete';
  const model = new Database(':memory:');
  try {
    for (const step of applied) applyStep(model, step);
    const there = namesIn(connection);
    const missing = [...namesIn(model)].find((name) => !there.has(name));
    return missing === undefined ? null : `its table or index '${missing}' is missing`;
  } finally {
    model.close();
  }
}

type StepRow = { readonly number: number; readonly name: string };

/** Names of all tables, indexes, triggers and views of a database. */
function namesIn(connection: Connection): ReadonlySet<string> {
  const rows = connection.prepare<[], { readonly name: string }>('SELECT name FROM sqlite_schema').all();
  return new Set(rows.map(({ name }) => name));
}

/** Number of the newest step that a database has; 0 for a new database. Writes nothing. */
function appliedUpTo(connection: Connection): number {
  const table = connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_steps'").get();
  if (table === undefined) return 0;
  const row = connection.prepare('SELECT MAX(number) AS number FROM schema_steps').get() as { number: number | null };
  return row.number ?? 0;
}

function applyStep(connection: Connection, step: SchemaStep): void {
  inTransaction(connection, () => {
    connection.exec(STEPS_TABLE);
    // The row is inserted first, so that a second process that applies the same step fails before it changes a table.
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
