import { closeSync, constants, fstatSync, lstatSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { isAbsolute, relative, sep } from 'node:path';
import type { TransferError } from '../../domain/transfer-port.ts';
import { channelError, toTransferError } from './channel.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * Opens a file below `root` for reading, without ever following a link out of it: each part of the path is opened
 * relative to the folder before it, without following links, and what was opened, not its name, is checked to be a
 * plain file with one name.
 * @throws TransferError
 */
export function openToRead(root: string, path: string): number {
  return inFolder(root, path, (name) => checked(openPart(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, path), path));
}

/** As `openToRead`, for writing; a file that does not exist is made, and `isNew` says so. */
export function openToWrite(root: string, path: string): { readonly fd: number; readonly isNew: boolean } {
  return inFolder(root, path, (name) => {
    const flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK;
    try {
      return { fd: openSync(name, flags | O_CREAT | O_EXCL, 0o600), isNew: true };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST'))
        throw channelError(error, `file:${path}`);
      return { fd: checked(openPart(name, flags, path), path), isNew: false };
    }
  });
}

/**
 * Gives the file `from` below `root` another name in its folder. A file that has that name goes, if it is a plain one with
 * no other name.
 * @throws TransferError
 */
export function renameBelow(root: string, from: string, to: string): void {
  inFolder(root, from, (source) =>
    inFolder(root, to, (target) => {
      try {
        const there = lstatSync(target, { throwIfNoEntry: false });
        if (there !== undefined && (!there.isFile() || there.nlink !== 1)) throw notPlain(to);
        renameSync(source, target);
      } catch (error) {
        throw toTransferError(error, `file:${to}`);
      }
    }),
  );
}

/** Removes a file below `root`, found as it was opened. One that is gone already is no fault. */
export function removeBelow(root: string, path: string): void {
  inFolder(root, path, (name) => {
    try {
      unlinkSync(name);
    } catch {
      // Somebody else removed it.
    }
  });
}

/** Gives `use` a name for the file that stands for its folder as it was opened, whatever happens to the path. */
function inFolder<T>(root: string, path: string, use: (name: string) => T): T {
  const inside = isAbsolute(path) ? relative(root, path) : path;
  const parts = inside.split(sep);
  if (parts.some((part) => part === '' || part === '.' || part === '..')) throw outside(path, root);
  let folder = openPart(root, O_RDONLY | O_DIRECTORY, path);
  try {
    for (const part of parts.slice(0, -1)) {
      const next = openPart(`/proc/self/fd/${folder}/${part}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, path);
      closeSync(folder);
      folder = next;
    }
    return use(`/proc/self/fd/${folder}/${parts.at(-1)}`);
  } finally {
    closeSync(folder);
  }
}

/** It was opened with O_NONBLOCK, so that a FIFO without a peer comes this far and is refused here. */
function checked(fd: number, path: string): number {
  const status = fstatSync(fd);
  if (status.isFile() && status.nlink === 1) return fd;
  closeSync(fd);
  throw notPlain(path);
}

function notPlain(path: string): TransferError {
  return { code: 'not_a_plain_file', message: `file:${path} is not a plain file with one name` };
}

function openPart(name: string, flags: number, path: string): number {
  try {
    return openSync(name, flags);
  } catch (error) {
    throw channelError(error, `file:${path}`);
  }
}

function outside(path: string, root: string): TransferError {
  return { code: 'file_outside_root', message: `file:${path} does not lie below ${root}` };
}
