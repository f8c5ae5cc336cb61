import {
  accessSync,
  closeSync,
  constants,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../domain/errors.ts';
import type { Reserve } from '../domain/ports/store.ts';
import { DATABASE_FILE } from './database.ts';

/*
 * Room on the file systems that the service writes to: a probe of the data directory, a reserve in it for the ends of jobs, and
 * the free bytes of each file system.
 */

const PROBE_FILE = 'probe';
/** Bytes of the probe. The largest commit of one command appends 6 pages of 4 KiB to the write-ahead log, which is less. */
const PROBE_BYTES = 64 * 1024;
/** Milliseconds for which a result is reused. Each probe writes a file, and anyone may ask for readiness without a token. */
const FRESH_MS = 1000;

type ProbeOptions = {
  readonly reserve: Reserve;
  /** Monotonic milliseconds. */
  readonly now: () => number;
};

/**
 * Tests whether commands can write to a data directory: the database exists and is writable, a file of 64 KiB can be written,
 * and the reserve exists or can be made.
 * @returns a function that gives `ok`, or a sentence that names the problem
 */
export function dataDirectoryProbe(directory: string, { reserve, now }: ProbeOptions): () => string {
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

/** @throws the file system's error if the directory or the database does not exist or is not writable */
function lookAt(directory: string): void {
  accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  // SQLite keeps writing to its open file after the file was removed. Those rows would be lost at the next start.
  accessSync(join(directory, DATABASE_FILE), constants.R_OK | constants.W_OK);
}

/** Writes the probe file and removes it. @throws the file system's error */
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

/** Name of the reserve in the data directory. */
export const RESERVE_FILE = 'reserve';
/**
 * Bytes of the reserve. They are enough for the last rows of many jobs in the write-ahead log, and for the tables that deleting a
 * snapshot adds to an image of some GiB.
 */
export const RESERVE_BYTES = 2 * 2 ** 20;

/** The reserve of a store in memory. */
export const NO_RESERVE: Reserve = { keep: () => {}, free: () => false };

/** The reserve of a data directory: a file that is deleted when the file system is full, so that jobs can record their ends. */
export function reserveIn(directory: string): Reserve {
  const path = join(directory, RESERVE_FILE);
  let isKept = false;
  return {
    keep: () => {
      if (!isKept) makeReserve(path);
      isKept = true;
    },
    free: () => {
      isKept = false;
      try {
        unlinkSync(path);
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Writes the file, or removes what it wrote. @throws DomainError if there is no room for the file. */
function makeReserve(path: string): void {
  // An earlier process may have left the file.
  if (statSync(path, { throwIfNoEntry: false })?.size === RESERVE_BYTES) return;
  let file: number | null = null;
  try {
    file = openSync(path, 'w', 0o600);
    const bytes = Buffer.alloc(RESERVE_BYTES, 1);
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
  } catch (cause) {
    rmSync(path, { force: true });
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    const isFull = code === 'ENOSPC' || code === 'EDQUOT';
    const file = `the reserve of ${RESERVE_BYTES} bytes in ${path}, which jobs need to record their ends`;
    if (isFull) throw new DomainError('no_space', `No space is left for ${file}.`, { cause });
    throw new DomainError('data_directory_unusable', `The service could not write ${file}: ${code}.`, { cause });
  } finally {
    if (file !== null) closeSync(file);
  }
}

type NamedPath = { readonly place: string; readonly path: string };
type FileSystemRoom = { readonly place: string; readonly freeBytes: number; readonly sizeBytes: number };
type FileSystemStats = { readonly bavail: number; readonly blocks: number; readonly bsize: number };

/** Longest wait of a reader for new figures, milliseconds. After it the reader is given the previous figures. */
const STATFS_MS_MAX = 20;

/**
 * Free bytes of the file systems of some paths. A path whose file system reports an error is left out. A file system that does
 * not answer, or a busy thread pool, delays no reader for more than 20 ms. At most one query runs at a time.
 */
export class FreeSpace {
  readonly #places: () => readonly NamedPath[];
  #newest: readonly FileSystemRoom[];
  #query: Promise<void> | null = null;

  constructor(places: () => readonly NamedPath[]) {
    this.#places = places;
    this.#newest = places().flatMap((place) => roomOf(place, statsNow(place.path)));
  }

  /** Never rejects. */
  async read(): Promise<readonly FileSystemRoom[]> {
    this.#query ??= this.#readAll().finally(() => {
      this.#query = null;
    });
    await Promise.race([this.#query, timeIsUp()]);
    return this.#newest;
  }

  async #readAll(): Promise<void> {
    const places = this.#places();
    const results = await Promise.allSettled(places.map(({ path }) => statfs(path)));
    this.#newest = results.flatMap((result, index) =>
      roomOf(places[index]!, result.status === 'fulfilled' ? result.value : null),
    );
  }
}

function timeIsUp(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, STATFS_MS_MAX).unref();
  });
}

function statsNow(path: string): FileSystemStats | null {
  try {
    return statfsSync(path);
  } catch {
    return null;
  }
}

function roomOf({ place }: NamedPath, stats: FileSystemStats | null): readonly FileSystemRoom[] {
  if (stats === null) return [];
  const { bavail, blocks, bsize } = stats;
  return [{ place, freeBytes: bavail * bsize, sizeBytes: blocks * bsize }];
}
