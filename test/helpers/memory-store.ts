// Databases in memory, which are removed when they are closed.

import { join } from 'node:path';
import Database from 'better-sqlite3';
import { onTestFinished } from 'vitest';
import type { Store } from '../../src/domain/ports/store.ts';
import type { OpenDatabase } from '../../src/store/database.ts';
import { newDatabaseFile } from '../../src/store/schema.ts';
import { storeOver } from '../../src/store/sqlite-store.ts';

const SCHEMA_DIRECTORY = join(import.meta.dirname, '../../migrations-db');

function memoryDatabase(): OpenDatabase {
  const connection = new Database(newDatabaseFile(SCHEMA_DIRECTORY));
  connection.pragma('foreign_keys = ON');
  return { connection, refuseIfGone: () => {}, close: () => connection.close() };
}

/** A database that is closed when the test has finished. */
export function openedMemoryDatabase(): OpenDatabase {
  const database = memoryDatabase();
  onTestFinished(() => database.close());
  return database;
}

/** A store that the caller closes. */
export function openMemoryStore(): Store {
  return storeOver(memoryDatabase());
}
