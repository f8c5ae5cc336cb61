import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, renameSync, unlinkSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, toTransferError } from './channel.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/**
 * Opens a file below `root` for reading. No link can lead outside `root`: each part of the path is opened relative to its
 * open parent folder and without following links. The open file, not its name, must be a plain file with one name.
 * @throws TransferError
 */
export function openToRead(root: string, path: string): number {
  return inFolder(root, path, (name) => {
    return checked(openPart(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, { root, path }), path);
  });
}

/**
 * Opens the existing file of this name, which must be writable, before it is replaced. Null if there is none.
 * @throws TransferError
 */
export function openThere(root: string, path: string, { toRead }: { readonly toRead: boolean }): number | null {
  return inFolder(root, path, (name) => {
    try {
      const fd = openSync(name, (toRead ? O_RDWR : O_WRONLY) | O_NOFOLLOW | O_NONBLOCK);
      return checked(fd, path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error instanceof Error ? openError(error, root, path) : error;
    }
  });
}

/** Creates a new file. @param target the file that errors name. @throws TransferError */
export function openNew(root: string, path: string, target: string): number {
  return inFolder(root, path, (name) => {
    try {
      return openSync(name, O_WRONLY | O_NOFOLLOW | O_CREAT | O_EXCL, 0o600);
    } catch (error) {
      throw channelError(error, `file:${target}: a file beside it, which is to get its name,`);
    }
  });
}

/**
 * The first part of a path below `root` that is a symbolic link, as a path from `root`; null if none is. For
 * messages and early refusals only: the opening functions never follow a link, whatever this function has returned.
 */
export function linkBelow(root: string, path: string): string | null {
  let seen = '';
  for (const part of pathInside(root, path).split(sep)) {
    seen = join(seen, part);
    try {
      if (lstatSync(join(root, seen)).isSymbolicLink()) return seen;
    } catch {
      return null;
    }
  }
  return null;
}

/** The message that refuses a path with a link in it. @param link the result of `linkBelow`. */
export function linkRefusal(path: string, link: string): string {
  return `file:${path}: ${link === path ? 'it' : link} is a symbolic link, and links are not followed`;
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
 * Renames the file `from` below `root` within its folder. An existing file `to` is replaced if it is a plain file with one
 * name.
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

/** Removes a file below `root`. A missing file is no error. */
export function removeBelow(root: string, path: string): void {
  inFolder(root, path, (name) => {
    try {
      unlinkSync(name);
    } catch {
      // It is gone already.
    }
  });
}

/** Calls `use` with a name of the file that goes through its open folder, so later changes of the path have no effect. */
function inFolder<T>(root: string, path: string, use: (name: string) => T): T {
  const parts = pathInside(root, path).split(sep);
  if (parts.some((part) => part === '' || part === '.' || part === '..')) throw outside(path, root);
  let folder = openPart(root, O_RDONLY | O_DIRECTORY, { root, path });
  try {
    for (const part of parts.slice(0, -1)) {
      const next = openPart(`/proc/self/fd/${folder}/${part}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, { root, path });
      closeSync(folder);
      folder = next;
    }
    return use(`/proc/self/fd/${folder}/${parts.at(-1)}`);
  } finally {
    closeSync(folder);
  }
}

/** Refuses other files than plain ones. O_NONBLOCK makes the open of a FIFO without a peer return, so it is refused here. */
function checked(fd: number, path: string): number {
  const status = fstatSync(fd);
  if (status.isFile() && status.nlink === 1) return fd;
  closeSync(fd);
  throw notPlain(path);
}

function notPlain(path: string): TransferError {
  return { code: 'not_a_plain_file', message: `file:${path} is not a plain file with one name` };
}

function openPart(name: string, flags: number, { root, path }: { root: string; path: string }): number {
  try {
    return openSync(name, flags);
  } catch (error) {
    throw openError(error, root, path);
  }
}

/** Names the link in an error: the system reports a refused link as ELOOP, or as ENOTDIR if a folder is expected. */
function openError(error: unknown, root: string, path: string): TransferError {
  const link = linkBelow(root, path);
  if (link !== null) return { code: 'not_a_plain_file', message: linkRefusal(path, link) };
  return channelError(error, `file:${path}`);
}

function pathInside(root: string, path: string): string {
  return isAbsolute(path) ? relative(root, path) : path;
}

function outside(path: string, root: string): TransferError {
  return { code: 'file_outside_root', message: `file:${path} does not lie below ${root}` };
}
