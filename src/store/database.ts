import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { DomainError } from '../domain/errors.ts';
import { databaseCodeOf, databaseCorrupt, isCorruption } from './database-fault.ts';
import { isDatabaseThere } from './database-file.ts';
import { applySchema, faultOfSchema } from './schema.ts';
import { type Connection, inTransaction } from './transaction.ts';

/*
 * The database file and who may open it.
 *
 * Durability: write-ahead log with synchronous=NORMAL. A commit is in the operating system's hands when it returns, so
 * it survives the end of this process at any moment, `kill -9` included; only a power failure may take the newest
 * commits, and never leaves the file inconsistent. FULL would cost a disk flush per event of a running migration.
 *
 * One service per data directory: `lock.db` next to the database is held in an exclusive transaction for as long as the
 * service lives. The lock is the operating system's, so it ends with the process, however that ends.
 */

export const DATABASE_FILE = 'vmferry.db';
const LOCK_FILE = 'lock.db';
/** The database while its first schema is being written; it gets its name once it is whole. */
const UNFINISHED_FILE = 'vmferry.db.new';

/** How long a statement waits for a reader from outside, such as the sqlite3 shell, in milliseconds. */
const BUSY_TIMEOUT_MS = 5000;
/** Databases up to this size are checked from end to end at the start; larger ones only where they are read. */
const CHECKED_BYTES_MAX = 64 * 1024 * 1024;
/** Pages in the write-ahead log at which it is copied back. */
const CHECKPOINT_PAGES = 1000;

/** An open database and the lock that keeps others out. */
export type OpenDatabase = {
  readonly connection: Connection;
  /**
   * SQLite goes on writing into a file that was removed, and nothing of that is there at the next start.
   * @throws DomainError (data_directory_unusable) if the open file is not the one that the directory has.
   */
  refuseIfGone(): void;
  close(): void;
};

/**
 * Opens the database of a data directory, making both where they do not exist, and brings its schema up to date.
 * @throws DomainError if the directory cannot be used, is in use, or holds a damaged, foreign or newer database.
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

/** Makes the directory and those above it. Node's own `recursive` never returns below /proc, where nothing can be made. */
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
  const what = `Another service uses the data directory ${directory}`;
  return `${what}: stop it, or give this one a directory of its own with --data DIR.`;
}

function openFile(directory: string, schemaDirectory: string): Connection {
  const path = join(directory, DATABASE_FILE);
  let connection: Connection | null = null;
  try {
    // What is there and no database of ours would be taken for a new one, and all history would silently be gone.
    const isNew = !isDatabaseThere(path);
    if (isNew) createFile(directory, schemaDirectory);
    connection = new Database(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true });
    if (!isNew) refuseDamaged(connection, path, schemaDirectory);
    // From here on it is written to: even the way in which its log is kept is noted in the file.
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

/** @throws DomainError if the file is damaged, or its tables are not those that the schema steps have made. */
function refuseDamaged(connection: Connection, path: string, schemaDirectory: string): void {
  if (statSync(path).size <= CHECKED_BYTES_MAX) {
    const found = connection.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok') throw databaseCorrupt(path, String(found));
  }
  const fault = faultOfSchema(connection, schemaDirectory);
  if (fault !== null) throw databaseCorrupt(path, fault);
}

/** Writes a whole new database under another name first, so that a crash never leaves half of one. */
function createFile(directory: string, schemaDirectory: string): void {
  const unfinished = join(directory, UNFINISHED_FILE);
  try {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${unfinished}${suffix}`, { force: true });
    const connection = new Database(unfinished);
    try {
      // A crash leaves a file that the next start removes, so one flush of the whole file is enough.
      connection.pragma('synchronous = OFF');
      connection.pragma('journal_mode = MEMORY');
      inTransaction(connection, () => applySchema(connection, schemaDirectory));
      // After the content: what a log holds gets into the file as it is closed, and nobody is told if that fails.
      connection.pragma('journal_mode = WAL');
    } finally {
      connection.close();
    }
    flush(unfinished);
    renameSync(unfinished, join(directory, DATABASE_FILE));
  } catch (cause) {
    if (cause instanceof DomainError) throw cause;
    throw unusable(directory, cause);
  }
}

/** Returns when the disk has the content of the file. */
function flush(path: string): void {
  const file = openSync(path, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
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
