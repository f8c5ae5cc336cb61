import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { DomainError } from '../domain/errors.ts';
import { type Connection, databaseCodeOf, databaseCorrupt, isCorruption, isDatabaseThere } from './database-file.ts';
import { applySchema, faultOfSchema, newDatabaseFile } from './schema.ts';

/*
 * Opens the database file and locks its directory.
 *
 * Durability: write-ahead log with synchronous=NORMAL. When a commit returns, the operating system has its data, so the commit
 * survives every end of this process, `kill -9` included. A power failure can lose the newest commits but leaves the file
 * consistent. synchronous=FULL would need a disk flush for each event of a running migration.
 *
 * One service for each data directory: while the service runs it holds an exclusive transaction on `lock.db`, next to the
 * database. The lock belongs to the operating system and ends with the process.
 */

export const DATABASE_FILE = 'vmferry.db';
const LOCK_FILE = 'lock.db';
/** Name of a new database while its tables are created. The complete file is renamed to `DATABASE_FILE`. */
const UNFINISHED_FILE = 'vmferry.db.new';

/** Where the header of a database has its write and its read version (sqlite.org/fileformat.html, 1.3.3). */
const VERSION_BYTES = [18, 20] as const;
/** The version of a database with a write-ahead log. */
const WAL_VERSION = 2;
/** Milliseconds that a statement waits for another program that reads the database, such as the sqlite3 shell. */
const BUSY_TIMEOUT_MS = 5000;
/** Bytes of the largest database that is checked completely at the start. Of a larger one only the schema is checked. */
const CHECKED_BYTES_MAX = 64 * 1024 * 1024;
/** Pages in the write-ahead log at which SQLite copies them into the database. */
const CHECKPOINT_PAGES = 1000;

/** An open database, and the lock of its directory. */
export type OpenDatabase = {
  readonly connection: Connection;
  /**
   * SQLite keeps writing to its open file after the file was removed or replaced. Those rows would be lost at the next start.
   * @throws DomainError (data_directory_unusable) if the directory no longer has the open file
   */
  refuseIfGone(): void;
  close(): void;
};

/**
 * Opens the database of a data directory and applies the missing schema steps. Creates the directory and the database if they do
 * not exist.
 * @throws DomainError if the directory cannot be used, is in use, or has a damaged, foreign or newer database
 */
export function openDatabase(directory: string, schemaDirectory: string): OpenDatabase {
  try {
    makeDirectory(directory);
  } catch (cause) {
    throw unusable(directory, cause);
  }
  const lock = takeLock(directory);
  try {
    const connection = openFile(directory, schemaDirectory);
    return {
      connection,
      refuseIfGone: presenceOf(directory),
      close: () => {
        connection.close();
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

function presenceOf(directory: string): () => void {
  const path = join(directory, DATABASE_FILE);
  const found = () => statSync(path, { bigint: true, throwIfNoEntry: false });
  const opened = found();
  return () => {
    const { dev, ino } = found() ?? {};
    if (dev === opened?.dev && ino === opened?.ino) return;
    throw unusable(directory, `${DATABASE_FILE} was removed, moved away or replaced while the service had it open`);
  };
}

/** Creates the directory and its parents. Node's option `recursive` never returns for a path below /proc. */
function makeDirectory(directory: string): void {
  if (existsSync(directory)) return;
  const above = dirname(directory);
  if (above !== directory) makeDirectory(above);
  mkdirSync(directory, { mode: 0o700 });
}

function takeLock(directory: string): Connection {
  const path = join(directory, LOCK_FILE);
  let lock: Connection | null = null;
  try {
    lock = new Database(path, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock?.close();
    if (databaseCodeOf(cause).startsWith('SQLITE_BUSY')) {
      throw new DomainError('data_directory_in_use', inUse(directory), { cause });
    }
    throw unusable(directory, cause);
  }
}

function inUse(directory: string): string {
  return `Another service uses the data directory ${directory}: stop it, or start this one with another --data DIR.`;
}

function openFile(directory: string, schemaDirectory: string): Connection {
  const path = join(directory, DATABASE_FILE);
  let connection: Connection | null = null;
  try {
    // SQLite would treat a damaged or shortened file as a new database, and the history would be lost without an error.
    const isNew = !isDatabaseThere(path);
    if (isNew) createFile(directory, schemaDirectory);
    connection = new Database(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true });
    if (!isNew) refuseDamaged(connection, path, schemaDirectory);
    // The checks above only read. `prepare` writes: the journal mode is stored in the file.
    prepare(connection);
    applySchema(connection, schemaDirectory);
    return connection;
  } catch (cause) {
    connection?.close();
    if (cause instanceof DomainError) throw cause;
    if (isCorruption(databaseCodeOf(cause))) throw databaseCorrupt(path, messageOf(cause), cause);
    throw unusable(directory, cause);
  }
}

/** @throws DomainError if the file is damaged, or if a table of its schema steps is missing */
function refuseDamaged(connection: Connection, path: string, schemaDirectory: string): void {
  if (statSync(path).size <= CHECKED_BYTES_MAX) {
    const found = connection.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok') throw databaseCorrupt(path, String(found));
  }
  const fault = faultOfSchema(connection, schemaDirectory);
  if (fault !== null) throw databaseCorrupt(path, fault);
}

/** Creates a new database under a temporary name and renames it, so that a crash never leaves an incomplete database. */
function createFile(directory: string, schemaDirectory: string): void {
  const unfinished = join(directory, UNFINISHED_FILE);
  try {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${unfinished}${suffix}`, { force: true });
    const bytes = Buffer.from(newDatabaseFile(schemaDirectory));
    bytes.fill(WAL_VERSION, ...VERSION_BYTES);
    // After a crash the next start removes the file, so one flush of the complete file is enough.
    writeFileSync(unfinished, bytes, { flush: true });
    renameSync(unfinished, join(directory, DATABASE_FILE));
  } catch (cause) {
    if (cause instanceof DomainError) throw cause;
    throw unusable(directory, cause);
  }
}

function prepare(connection: Connection): void {
  connection.pragma('journal_mode = WAL');
  connection.pragma('synchronous = NORMAL');
  connection.pragma('foreign_keys = ON');
  connection.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
}

function unusable(directory: string, cause: unknown): DomainError {
  const detail = `The data directory ${directory} cannot be used: ${messageOf(cause)}.`;
  return new DomainError('data_directory_unusable', detail, { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
