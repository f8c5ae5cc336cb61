import { close, constants, fdatasync, fstatSync, ftruncate, open, read, stat, write } from 'node:fs';
import { promisify } from 'node:util';
import { DirectFile, punchHole } from './file-calls.ts';
import { BlockError, type BlockErrorCode, type FileCall } from './image.ts';
import { type ImageUse, lockImage } from './image-locks.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const syncFile = promisify(fdatasync);
const truncateFile = promisify(ftruncate);
const statFile = promisify(stat);

/** Limit of one system call; Node refuses 2 GiB and more. */
const CALL_BYTES_MAX = 2 ** 30;

/** The unit of st_blocks, whatever the file system. */
const STAT_BLOCK_BYTES = 512;

/** The file below an image. Positions and lengths are bytes. */
export interface BlockFile {
  readonly path: string;
  /** Length; grows with writes. */
  readonly bytes: number;
  /** Space that the file takes on its file system, bytes. */
  readonly allocatedBytes: number;
  /** System calls in progress. */
  readonly underWay: Iterable<FileCall>;
  /** Bytes behind the end of the file read as zeros. */
  read(position: number, into: Uint8Array): Promise<void>;
  /** Writes all bytes. Large writes bypass the page cache if memory and position are aligned to pages. */
  write(position: number, from: Uint8Array): Promise<void>;
  /** Makes all writes that have ended stable. */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  /** Gives a range back to the file system if that is supported; its content is undefined afterwards. */
  punchHole(offset: number, bytes: number): Promise<void>;
  /** @throws BlockError `image_gone` if the file was removed, replaced by another file, or cut. */
  assertPresent(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a plain file with the locks of `use`. The default use is `read` or `write`, as `readOnly` says.
 * @throws BlockError
 */
export async function openBlockFile(
  path: string,
  options: { readonly readOnly: boolean; readonly use?: ImageUse },
): Promise<SystemFile> {
  const flags = (options.readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK;
  const fd = await openFile(path, flags).catch((error: unknown) => {
    throw fileError(error, path, options.readOnly ? 'opening' : 'opening for writing');
  });
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new BlockError('image_not_qcow2', `${path} is not a plain file.`);
    const file = new SystemFile(fd, path, { bytes: status.size, readOnly: options.readOnly });
    file.changeUse(options.use ?? (options.readOnly ? 'read' : 'write'));
    return file;
  } catch (error) {
    await closeFile(fd).catch(() => {});
    throw fileError(error, path, 'opening');
  }
}

/** A BlockFile on a file of the operating system. */
export class SystemFile implements BlockFile {
  readonly path: string;
  readonly underWay = new Set<FileCall>();
  readonly #fd: number;
  readonly #direct: DirectFile;
  #isClosed = false;
  #bytes: number;
  #use: ImageUse = 'none';

  constructor(fd: number, path: string, { bytes, readOnly }: { readonly bytes: number; readonly readOnly: boolean }) {
    this.#fd = fd;
    this.#direct = new DirectFile(fd, { readOnly });
    this.path = path;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get allocatedBytes(): number {
    return fstatSync(this.#open()).blocks * STAT_BLOCK_BYTES;
  }

  /** Device and inode: the same for every name of the file. */
  get identity(): string {
    const { dev, ino } = fstatSync(this.#open(), { bigint: true });
    return `${dev}:${ino}`;
  }

  /**
   * Replaces the locks of the present use by the locks of another one. No call may be in progress.
   * @throws BlockError `image_locked` or `image_unsupported`; the use is unchanged then.
   */
  changeUse(use: ImageUse): void {
    const fd = this.#open();
    lockImage(fd, this.path, { from: this.#use, to: use });
    this.#use = use;
    // Measured again under the lock: another program may have changed the length before.
    this.#bytes = fstatSync(fd).size;
  }

  async read(position: number, into: Uint8Array): Promise<void> {
    let done = 0;
    while (done < into.length) {
      const count = await this.#readOnce(position + done, into.subarray(done, done + CALL_BYTES_MAX));
      if (count === 0) break;
      done += count;
    }
    into.fill(0, done);
  }

  async write(position: number, from: Uint8Array): Promise<void> {
    let done = 0;
    while (done < from.length) {
      done += await this.#writeOnce(position + done, from.subarray(done, done + CALL_BYTES_MAX));
      if (position + done > this.#bytes) this.#bytes = position + done;
    }
  }

  async sync(): Promise<void> {
    await this.#call({ doing: 'flushing', position: 0, bytes: 0 }, syncFile(this.#open())).catch((error: unknown) => {
      throw fileError(error, this.path, 'flushing to storage');
    });
  }

  async truncate(bytes: number): Promise<void> {
    const cutting = truncateFile(this.#open(), bytes);
    await this.#call({ doing: 'cutting', position: bytes, bytes: 0 }, cutting).catch((error: unknown) => {
      throw fileError(error, this.path, `cutting at ${bytes}`);
    });
    this.#bytes = bytes;
  }

  punchHole(offset: number, bytes: number): Promise<void> {
    const punching = punchHole(this.#open(), { offset, bytes });
    return this.#call({ doing: 'punching a hole', position: offset, bytes }, punching);
  }

  async assertPresent(): Promise<void> {
    const own = fstatSync(this.#open(), { bigint: true });
    const looking = statFile(this.path, { bigint: true }).catch(() => null);
    const named = await this.#call({ doing: 'looking for its name', position: 0, bytes: 0 }, looking);
    if (own.nlink === 0n || named?.ino !== own.ino || named.dev !== own.dev) {
      throw new BlockError('image_gone', `${this.path}: the image file was removed or replaced while it was open.`);
    }
    if (own.size >= this.#bytes) return;
    const sizes = `it has ${own.size} bytes and had ${this.#bytes}`;
    throw new BlockError('image_gone', `${this.path}: the image file was cut while it was open: ${sizes}.`);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#direct.close().catch(() => {});
    await closeFile(this.#fd).catch((error: unknown) => {
      throw fileError(error, this.path, 'closing');
    });
  }

  /** Refuses a closed file: the number of its descriptor may already belong to another file. */
  #open(): number {
    if (!this.#isClosed) return this.#fd;
    throw new BlockError('image_io_error', `${this.path}: the image is closed.`);
  }

  async #readOnce(position: number, into: Uint8Array): Promise<number> {
    const fd = this.#open();
    const read = async () => (await this.#direct.read(position, into)) ?? (await readFile(fd, into, position));
    try {
      return await this.#call({ doing: 'reading', position, bytes: into.length }, read());
    } catch (error) {
      throw fileError(error, this.path, `reading ${into.length} bytes at ${position}`);
    }
  }

  async #writeOnce(position: number, from: Uint8Array): Promise<number> {
    const fd = this.#open();
    const write = async () => (await this.#direct.write(position, from)) ?? (await writeFile(fd, from, position));
    try {
      return await this.#call({ doing: 'writing', position, bytes: from.length }, write());
    } catch (error) {
      throw fileError(error, this.path, `writing ${from.length} bytes at ${position}`);
    }
  }

  async #call<Result>(call: FileCall, made: Promise<Result>): Promise<Result> {
    this.underWay.add(call);
    try {
      return await made;
    } finally {
      this.underWay.delete(call);
    }
  }
}

function readFile(fd: number, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, 0, into.length, position, (error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}

function writeFile(fd: number, from: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, from, 0, from.length, position, (error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}

const CODES: Record<string, BlockErrorCode> = {
  ENOENT: 'image_not_found',
  ENOTDIR: 'image_not_found',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EROFS: 'permission_denied',
  ENOSPC: 'no_space',
  EDQUOT: 'no_space',
  EFBIG: 'no_space',
};

/** The reason as text, for errors that a user can act on. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left (ENOSPC)',
  EDQUOT: 'no space is left, the quota is used up (EDQUOT)',
  EFBIG: 'no space is left, the file may not grow any more (EFBIG)',
};

/** Converts an error of the operating system into a BlockError. @param doing the operation that failed. */
export function fileError(cause: unknown, path: string, doing: string): BlockError {
  if (cause instanceof BlockError) return cause;
  const name = (cause as NodeJS.ErrnoException | null)?.code ?? 'unknown error';
  return new BlockError(CODES[name] ?? 'image_io_error', `${path}: ${doing} failed: ${REASONS[name] ?? name}.`, {
    cause,
  });
}
