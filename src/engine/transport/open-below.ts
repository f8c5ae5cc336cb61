import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { isAbsolute, relative, sep } from 'node:path';
import type { TransferError } from '../../domain/transfer-port.ts';
import { channelError } from './channel.ts';

/**
 * Opens `path` below `root` without ever following a link out of it: each part is opened relative to the folder
 * before it, without following links, and what was opened, not its name, is checked to be a plain file with one name.
 * @throws TransferError
 */
export function openBelow(root: string, path: string, access: 'read' | 'write'): number {
  const inside = isAbsolute(path) ? relative(root, path) : path;
  const parts = inside.split(sep);
  if (parts.some((part) => part === '' || part === '.' || part === '..')) throw outside(path, root);
  let folder = openPart(root, constants.O_RDONLY | constants.O_DIRECTORY, path);
  try {
    for (const part of parts.slice(0, -1)) {
      const next = openPart(
        `/proc/self/fd/${folder}/${part}`,
        constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
        path,
      );
      closeSync(folder);
      folder = next;
    }
    return openFile(`/proc/self/fd/${folder}/${parts.at(-1)}`, path, access);
  } finally {
    closeSync(folder);
  }
}

/** O_NONBLOCK, so that a FIFO without a peer is refused and does not hang. */
function openFile(name: string, path: string, access: 'read' | 'write'): number {
  const mode = access === 'read' ? constants.O_RDONLY : constants.O_WRONLY | constants.O_CREAT;
  const fd = openPart(name, mode | constants.O_NOFOLLOW | constants.O_NONBLOCK, path);
  const status = fstatSync(fd);
  if (status.isFile() && status.nlink === 1) return fd;
  closeSync(fd);
  throw { code: 'not_a_plain_file', message: `file:${path} is not a plain file with one name` } satisfies TransferError;
}

function openPart(name: string, flags: number, path: string): number {
  try {
    return openSync(name, flags, 0o600);
  } catch (error) {
    throw channelError(error, `file:${path}`);
  }
}

function outside(path: string, root: string): TransferError {
  return { code: 'file_outside_root', message: `file:${path} does not lie below ${root}` };
}
