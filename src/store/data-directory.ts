import { accessSync, closeSync, constants, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DomainError } from '../domain/errors.ts';
import type { Reserve } from '../domain/store-ports.ts';
import { DATABASE_FILE } from './database.ts';

const PROBE_FILE = 'probe';
/** More than the largest commit of one command appends to the write-ahead log, which is 6 pages of 4 KiB. */
const PROBE_BYTES = 64 * 1024;
/** An answer is given again for so long, milliseconds: readiness is asked for without a token, and each look writes. */
const FRESH_MS = 1000;

type Surroundings = {
  readonly reserve: Reserve;
  /** Monotonic milliseconds. */
  readonly now: () => number;
};

/**
 * Finds out whether a data directory takes what commands have to write: the database is there and may be written, a file
 * of 64 KiB can be made, and the reserve that every job needs before it begins can be kept.
 * @returns a function that gives `ok`, or a sentence about what is wrong.
 */
export function dataDirectoryProbe(directory: string, { reserve, now }: Surroundings): () => string {
  let room = 'ok';
  let probedMs = Number.NEGATIVE_INFINITY;
  return () => {
    const presence = foundOn(() => lookAt(directory), directory);
    if (presence !== 'ok' || now() - probedMs < FRESH_MS) return presence === 'ok' ? room : presence;
    probedMs = now();
    room = foundOn(() => {
      writeProbe(directory);
      reserve.keep();
    }, directory);
    return room;
  };
}

function foundOn(look: () => void, directory: string): string {
  try {
    look();
    return 'ok';
  } catch (error) {
    if (error instanceof DomainError) return error.message;
    const { code = 'unknown error', path = directory } = error as NodeJS.ErrnoException;
    const isFull = code === 'ENOSPC' || code === 'EDQUOT';
    return isFull ? `No space is left in ${directory}: ${code}.` : `${path} cannot be used: ${code}`;
  }
}

/** @throws the file system's error if the directory or the database is not there or may not be written. */
function lookAt(directory: string): void {
  accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  // SQLite goes on writing into a file that was removed, and nothing of that is there at the next start.
  accessSync(join(directory, DATABASE_FILE), constants.R_OK | constants.W_OK);
}

/** @throws the file system's error; nothing of the probe is left. */
function writeProbe(directory: string): void {
  const path = join(directory, PROBE_FILE);
  let file: number | null = null;
  try {
    file = openSync(path, 'w', 0o600);
    const bytes = Buffer.alloc(PROBE_BYTES, 1);
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
  } finally {
    if (file !== null) closeSync(file);
    rmSync(path, { force: true });
  }
}
