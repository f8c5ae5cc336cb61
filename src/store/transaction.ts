import type Database from 'better-sqlite3';
import { databaseFault } from './database-fault.ts';

/** An open connection to the database. */
export type Connection = Database.Database;

/**
 * Runs `work` in one transaction: all of it is kept, or nothing. Synchronous by design: nothing else can happen on the
 * connection meanwhile. Inside another transaction it is part of that one.
 * @throws DomainError if the database did not take it; what `work` throws.
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

/** How many transactions a connection has had, committed or not, and how long they took in all. */
export function transactionFigures(connection: Connection): TransactionFigures {
  const known = FIGURES.get(connection);
  if (known !== undefined) return known;
  const figures = { count: 0, ms: 0 };
  FIGURES.set(connection, figures);
  return figures;
}
