import type Database from 'better-sqlite3';
import { databaseFault } from './database-file.ts';

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
