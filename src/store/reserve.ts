import { closeSync, openSync, rmSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DomainError } from '../domain/errors.ts';
import type { Reserve } from '../domain/store-ports.ts';

const RESERVE_FILE = 'reserve';
/**
 * What the last words of many jobs take in the write-ahead log, by far, and beside it the tables that an image of some GiB
 * needs for the deletion of a snapshot.
 */
export const RESERVE_BYTES = 2 * 2 ** 20;

/** For a store that is on no disk. */
export const NO_RESERVE: Reserve = { keep: () => {}, free: () => false };

/** A file of the data directory that takes room and holds nothing. */
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

/** @throws DomainError if there is no room for it; then nothing of it is left. */
function makeReserve(path: string): void {
  // One of an earlier process is as good.
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
    const what = `the room that is kept for the ends of jobs, ${RESERVE_BYTES} bytes in ${path}`;
    if (isFull) throw new DomainError('no_space', `No space is left for ${what}.`, { cause });
    throw new DomainError('data_directory_unusable', `It was not possible to write ${what}: ${code}.`, { cause });
  } finally {
    if (file !== null) closeSync(file);
  }
}
