import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, renameSync, unlinkSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import type { TransferError } from '../../domain/transfer-port.ts';
import { channelError, toTransferError } from './channel.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/**
 * Opens a file below `root` for reading, without ever following a link out of it: each part of the path is opened
 * relative to the folder before it, without following links, and what was opened, not its name, is checked to be a
 * plain file with one name.
 * @throws TransferError
 */
export function openToRead(root: string, path: string): number {
  return inFolder(root, path, (name) => checked(openPart(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, path), path));
}

/**
 * The file that has this name, which is to be replaced: it has to be one that could be written. Null if there is none.
 * @throws TransferError
 */
export function openThere(root: string, path: string, { toRead }: { readonly toRead: boolean }): number | null {
  return inFolder(root, path, (name) => {
    try {
      const fd = openSync(name, (toRead ? O_RDWR : O_WRONLY) | O_NOFOLLOW | O_NONBLOCK);
      return checked(fd, path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw toTransferError(error, `file:${path}`);
    }
  });
}

/** Makes a file that is not there yet, on behalf of the file `target`. @throws TransferError */
export function openNew(root: string, path: string, target: string): number {
  return inFolder(root, path, (name) => {
    try {
      return openSync(name, O_WRONLY | O_NOFOLLOW | O_CREAT | O_EXCL, 0o600);
    } catch (error) {
      throw channelError(error, `file:${target}: a file beside it, which is to get its name,`);
    }
  });
}

/** Names in a folder below `root`; none if it cannot be read. */
export function listBelow(root: string, folder: string): string[] {
  try {
    return inFolder(root, join(folder, 'any'), (name) => readdirSync(dirname(name)));
  } catch {
    return [];
  }
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
