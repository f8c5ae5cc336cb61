import { DomainError } from '../domain/errors.ts';

/**
 * What the database said while it was to write, as an error that the outside may see; anything else as it is. What was
 * to be written is not there.
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

/** Storage that fails, is read-only or gone, or that another program has locked. */
const UNUSABLE = /^SQLITE_(IOERR|READONLY|CANTOPEN|BUSY|LOCKED|PERM|AUTH|NOLFS)(_|$)/;

export function databaseCorrupt(path: string, why: string, cause?: unknown): DomainError {
  const advice = 'Restore it from a copy, or move it away to begin with an empty one.';
  return new DomainError('database_corrupt', `The database ${path} is damaged: ${why}. ${advice}`, { cause });
}

/** True of codes that tell of a damaged file. */
export function isCorruption(code: string): boolean {
  return code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT');
}

/** SQLite's code of an error; an empty text if it has none. */
export function databaseCodeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : '';
}
