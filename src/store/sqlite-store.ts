import { statSync } from 'node:fs';
import type { Reserve, Store, StoreFigures } from '../domain/ports/store.ts';
import { announcementRepository } from './announcement-repository.ts';
import { auditRepository } from './audit-repository.ts';
import { type OpenDatabase, openDatabase } from './database.ts';
import { type Connection, inTransaction, transactionFigures } from './database-file.ts';
import { NO_RESERVE, reserveIn } from './disk-room.ts';
import { eventLog } from './event-log.ts';
import { jobRepository } from './job-repository.ts';
import { identityRepository, requestKeyRepository, settingsRepository } from './keyed-repositories.ts';
import { migrationRepository } from './migration-repository.ts';

/**
 * Opens the store of a data directory. The caller owns the store until it calls `close`.
 * @throws DomainError if the directory cannot be used, is in use, or has a damaged or newer database
 */
export function openStore(dataDirectory: string, schemaDirectory: string): Store {
  const database = openDatabase(dataDirectory, schemaDirectory);
  const reserve = reserveIn(dataDirectory);
  try {
    // This takes some milliseconds. Done here, it does not delay the first job.
    reserve.keep();
  } catch {
    // Every job makes the reserve before it begins, and reports an error if that fails.
  }
  return storeOver(database, reserve);
}

/** The store of a database whose schema is up to date. */
export function storeOver(database: OpenDatabase, reserve: Reserve = NO_RESERVE): Store {
  const { connection, close } = database;
  return {
    settings: settingsRepository(database),
    migrations: migrationRepository(connection),
    jobs: jobRepository(connection),
    requestKeys: requestKeyRepository(connection),
    events: eventLog(connection),
    identity: identityRepository(connection),
    audit: auditRepository(connection),
    announcements: announcementRepository(connection),
    reserve,
    transaction: (work) => inTransaction(connection, work),
    figures: () => figuresOf(connection),
    close,
  };
}

function figuresOf(connection: Connection): StoreFigures {
  const number = (pragma: string): number => Number(connection.pragma(pragma, { simple: true }));
  const { count, ms } = transactionFigures(connection);
  return {
    bytes: number('page_count') * number('page_size'),
    walBytes: sizeOf(`${connection.name}-wal`),
    transactions: count,
    transactionMs: ms,
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
