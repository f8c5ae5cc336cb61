import { close, constants, fdatasync, fstatSync, ftruncate, open, read, stat, write } from 'node:fs';
import { promisify } from 'node:util';
import { DirectFile } from './direct.ts';
import { fileError } from './file-errors.ts';
import { BlockError, type FileCall } from './image.ts';
import { punchHole } from './libc.ts';
import { type ImageUse, lockImage } from './lock.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const syncFile = promisify(fdatasync);
const truncateFile = promisify(ftruncate);
const statFile = promisify(stat);

/** Of one system call; Node refuses 2 GiB and more. */
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
  /** Calls that have not ended yet. */
  readonly underWay: Iterable<FileCall>;
  /** What lies behind the end of the file reads as zeros. */
  read(position: number, into: Uint8Array): Promise<void>;
  /** Large stretches may go past the page cache, if they are aligned to pages in memory and file. */
  write(position: number, from: Uint8Array): Promise<void>;
  /** What was written is on stable storage. */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  /** Gives a stretch back to the file system where it can; the content is undefined then. */
  punchHole(offset: number, bytes: number): Promise<void>;
  /** @throws BlockError `image_gone` if the file has no name any more, another file has it, or it was cut. */
  assertPresent(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a plain file with the locks of `use`, which is to read or to write it unless it is given.
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

/** A BlockFile of the operating system. */
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

  /** Which file this is, whatever its name. */
  get identity(): string {
    const { dev, ino } = fstatSync(this.#open(), { bigint: true });
    return `${dev}:${ino}`;
  }

  /**
   * Takes the locks of another use and gives up those of the last one. Nothing may be under way.
   * @throws BlockError `image_locked` or `image_unsupported`: the use is the one before then.
   */
  changeUse(use: ImageUse): void {
    const fd = this.#open();
    lockImage(fd, this.path, { from: this.#use, to: use });
    this.#use = use;
    // Measured again under the lock: others may have changed its length before.
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

  /** The number of a closed descriptor may be another file's by now. */
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
