import { closeSync, lstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { basename } from 'node:path';
import type Database from 'better-sqlite3';
import { DomainError } from '../domain/errors.ts';

/* The database file: transactions of a connection to it, checks before it is opened, and its errors. */

/** An open connection to the database. */
export type Connection = Database.Database;

/**
 * Runs `work` in one transaction: all of its changes are kept, or none. `work` is synchronous, so no other code uses the
 * connection meanwhile. Inside another transaction, `work` becomes a part of that one.
 * @throws DomainError if the database cannot write; errors of `work`
 */
export function inTransaction<T>(connection: Connection, work: () => T): T {
  if (connection.inTransaction) return work();
  const figures = transactionFigures(connection);
  const began = performance.now();
  try {
    return connection.transaction(work).immediate();
  } catch (error) {
    throw databaseFault(error, connection.name);
  } finally {
    figures.count += 1;
    figures.ms += performance.now() - began;
  }
}

type TransactionFigures = { count: number; ms: number };

const FIGURES = new WeakMap<Connection, TransactionFigures>();

/** Number of transactions of a connection, committed or rolled back, and their total time in milliseconds. */
export function transactionFigures(connection: Connection): TransactionFigures {
  const known = FIGURES.get(connection);
  if (known !== undefined) return known;
  const figures = { count: 0, ms: 0 };
  FIGURES.set(connection, figures);
  return figures;
}

/** @returns a function that gives the next number of a counter. Call it in the transaction that uses the number. */
export function counter(
  connection: Connection,
  name: 'migrations' | 'jobs' | 'events' | 'audit' | 'announcements',
): () => number {
  const next = connection.prepare<[string], { readonly value: number }>(
    'UPDATE counters SET value = value + 1 WHERE name = ? RETURNING value',
  );
  return () => {
    const row = next.get(name);
    if (row === undefined) throw new Error(`there is no counter ${name}`);
    return row.value;
  };
}

/** First bytes of every SQLite database. */
const MAGIC = 'SQLite format 3\0';
/** Bytes of SQLite's smallest page. No database is smaller. */
const SMALLEST_BYTES = 512;

/**
 * Checks the database file before SQLite opens it. SQLite itself creates a new database if the file is missing or shorter than a
 * page. @returns false if neither a database nor a log of one exists.
 * @throws DomainError if the file is not a database, or is a part of one
 */
export function isDatabaseThere(path: string): boolean {
  const found = statsOf(path);
  if (found === null) {
    refuseLeftLogs(path);
    return false;
  }
  if (!found.isFile()) throw databaseCorrupt(path, 'it is not a file');
  if (found.size === 0) throw databaseCorrupt(path, 'it is empty');
  if (found.size < SMALLEST_BYTES) {
    throw databaseCorrupt(path, `it has ${found.size} bytes; the smallest database has ${SMALLEST_BYTES}`);
  }
  if (firstBytes(path) !== MAGIC) throw databaseCorrupt(path, 'it does not begin as a SQLite database does');
  return true;
}

/** Stats of the file, behind links; null if the path does not exist. @throws DomainError for a link without a target. */
function statsOf(path: string): Stats | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined) return found;
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return null;
  throw databaseCorrupt(path, 'it is a link to a file that does not exist');
}

/** A log that is not empty has the newest rows of a database, so a new database must not take it over. */
function refuseLeftLogs(path: string): void {
  for (const log of [`${path}-wal`, `${path}-journal`]) {
    if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) === 0) continue;
    throw databaseCorrupt(path, `it is missing, while its log ${basename(log)} is there`);
  }
}

function firstBytes(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(MAGIC.length);
    readSync(file, bytes, 0, bytes.length, 0);
    return bytes.toString('latin1');
  } finally {
    closeSync(file);
  }
}

/**
 * Converts SQLite's error of a failed write into a DomainError, which has no internal details. Other errors are returned
 * unchanged. In every case the transaction was not written.
 */
export function databaseFault(error: unknown, path: string): unknown {
  const code = databaseCodeOf(error);
  if (!(error instanceof Error) || !code.startsWith('SQLITE_')) return error;
  const options = { cause: error };
  if (code === 'SQLITE_FULL') return new DomainError('no_space', `No space is left for the database ${path}.`, options);
  if (isCorruption(code)) return databaseCorrupt(path, error.message, error);
  if (!UNUSABLE.test(code)) return error;
  const detail = `The database ${path} cannot be written: ${error.message} (${code}).`;
  return new DomainError('data_directory_unusable', detail, options);
}

/** Codes for storage that fails, is read-only or missing, or is locked by another program. */
const UNUSABLE = /^SQLITE_(IOERR|READONLY|CANTOPEN|BUSY|LOCKED|PERM|AUTH|NOLFS)(_|$)/;

/** @param why a clause about the database, such as `it is empty` */
export function databaseCorrupt(path: string, why: string, cause?: unknown): DomainError {
  const advice = 'Restore it from a copy, or move it away to start with an empty one.';
  return new DomainError('database_corrupt', `The database ${path} is damaged: ${why}. ${advice}`, { cause });
}

/** True if SQLite's code means that the file is damaged. */
export function isCorruption(code: string): boolean {
  return code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT');
}

/** SQLite's code of an error; an empty text for other errors. */
export function databaseCodeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : '';
}
