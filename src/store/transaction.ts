import type { Connection } from './database.ts';

/**
 * Runs `work` in one transaction: all of it is kept, or nothing. Synchronous by design: nothing else can happen on the
 * connection meanwhile. Inside another transaction it is part of that one.
 */
export function inTransaction<T>(connection: Connection, work: () => T): T {
  if (connection.inTransaction) return work();
  return connection.transaction(work).immediate();
}
