// Databases in memory: gone when they are closed.

import { join } from 'node:path';
import Database from 'better-sqlite3';
import { onTestFinished } from 'vitest';
import type { Store } from '../../src/domain/ports/store.ts';
import type { OpenDatabase } from '../../src/store/database.ts';
import { applySchema } from '../../src/store/schema.ts';
import { storeOver } from '../../src/store/sqlite-store.ts';

const SCHEMA_DIRECTORY = join(import.meta.dirname, '../../migrations-db');

/** An empty database with all schema steps, as bytes: a copy is opened in a tenth of the time that the steps take. */
let template: Buffer | null = null;

function templateOf(): Buffer {
  const connection = new Database(':memory:');
  applySchema(connection, SCHEMA_DIRECTORY);
  const bytes = connection.serialize();
  connection.close();
  return bytes;
}

function memoryDatabase(): OpenDatabase {
  template ??= templateOf();
  const connection = new Database(template);
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
