import { closeSync, lstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { basename } from 'node:path';
import { databaseCorrupt } from './database-fault.ts';

/** How every SQLite database begins. */
const MAGIC = 'SQLite format 3\0';
/** The smallest page that SQLite has, and so the smallest database, in bytes. */
const SMALLEST_BYTES = 512;

/**
 * Looks at the database file before SQLite does, which takes a missing file, and one that is shorter than a page, for a
 * new database. @returns false if there is no database, and no trace of one.
 * @throws DomainError if what is there is no database, or a part of one.
 */
export function isDatabaseThere(path: string): boolean {
  const found = statsOf(path);
  if (found === null) {
    refuseLeftLogs(path);
    return false;
  }
  if (!found.isFile()) throw databaseCorrupt(path, 'it is no file');
  if (found.size === 0) throw databaseCorrupt(path, 'it is empty');
  if (found.size < SMALLEST_BYTES) {
    throw databaseCorrupt(path, `it has ${found.size} bytes, and the smallest database has ${SMALLEST_BYTES}`);
  }
  if (firstBytes(path) !== MAGIC) throw databaseCorrupt(path, 'it does not begin as a SQLite database does');
  return true;
}

/** Of what the path leads to; null if nothing is there. @throws DomainError for a link that leads nowhere. */
function statsOf(path: string): Stats | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined) return found;
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return null;
  throw databaseCorrupt(path, 'it is a link, and nothing is where it leads');
}

/** A log belongs to one database, and holds the newest of what was written to it. */
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
