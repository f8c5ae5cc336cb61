import { createHash, randomBytes } from 'node:crypto';
import { close, closeSync, fchmodSync, fchownSync, fdatasync, fstatSync, read, readFileSync, write } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { channelError, toTransferError } from './channel.ts';
import { listBelow, openNew, openThere, removeBelow, renameBelow } from './open-below.ts';

const closeFile = promisify(close);
const readFrom = promisify(read);
const writeTo = promisify(write);
const flush = promisify(fdatasync);

/** Bytes that are copied at a time. */
const COPY_BYTES = 2 ** 20;

/** Every draft is called so: the mark, a digest of the file's name, and who writes it. */
const MARK = '.vmferry-';
const DRAFT = /^\.vmferry-[0-9a-f]{16}-(\d+)-(\d+)-[0-9a-f]{8}$/;

/**
 * A file that is written beside another and takes its place, or gets its name for the first time, once it is whole.
 * Until `keep` has resolved the file that has the name stays as it is. A draft whose writer was killed is removed by the next
 * draft for the same name, and by a start of the service.
 */
export class FileDraft {
  /** Open for writing; new and empty. */
  readonly fd: number;
  readonly #root: string;
  readonly #path: string;
  readonly #draft: string;
  /** The file that has the name, open for reading; null if there is none, or nothing of it is to be kept. */
  readonly #old: number | null;
  readonly #replaces: boolean;
  readonly #headBytes: number;
  #isOpen = true;

  /**
   * @param headBytes so much of the beginning of the file that has the name is to be there afterwards.
   * @throws TransferError if there can be no such file, or the one that is there may not be replaced.
   */
  constructor(root: string, path: string, { headBytes }: { readonly headBytes: number }) {
    this.#root = root;
    this.#path = path;
    this.#headBytes = headBytes;
    const there = openThere(root, path, { toRead: headBytes > 0 });
    this.#replaces = there !== null;
    this.#old = headBytes > 0 ? there : null;
    const folder = dirname(path);
    const prefix = `${MARK}${createHash('sha256').update(basename(path)).digest('hex').slice(0, 16)}-`;
    try {
      removeStale(root, folder, prefix);
      this.#draft = join(folder, `${prefix}${process.pid}-${beginOf(process.pid)}-${randomBytes(4).toString('hex')}`);
      this.fd = openNew(root, this.#draft, path);
    } catch (error) {
      if (there !== null) closeSync(there);
      throw error;
    }
    if (there === null) return;
    keepOwner(this.fd, there);
    if (this.#old === null) closeSync(there);
  }

  /** Gives the file its name, with what it replaces still whole if that fails. @throws TransferError */
  async keep(): Promise<void> {
    try {
      if (this.#old !== null) await this.#copyHead(this.#old);
      // Of two files one at least is whole after a power failure.
      if (this.#replaces) await flush(this.fd);
      renameBelow(this.#root, this.#draft, this.#path);
    } catch (error) {
      this.discard();
      throw toTransferError(error, `file:${this.#path}`);
    }
    await this.#close();
  }

  /** Leaves everything as it was. Never throws; harmless after `keep`. No write may be under way. */
  discard(): void {
    if (!this.#isOpen) return;
    try {
      removeBelow(this.#root, this.#draft);
    } catch {
      // Its folder is gone, or not to be reached any more; a start removes what is left.
    }
    void this.#close().catch(() => {});
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const files = this.#old === null ? [this.fd] : [this.fd, this.#old];
    for (const file of files) {
      await closeFile(file).catch((error: unknown) => {
        throw channelError(error, `file:${this.#path}`);
      });
    }
  }

  /** What is zero is left out, so that a file with holes stays one. */
  async #copyHead(from: number): Promise<void> {
    const buffer = Buffer.alloc(COPY_BYTES);
    const zeros = Buffer.alloc(COPY_BYTES);
    const end = Math.min(this.#headBytes, fstatSync(from).size);
    for (let at = 0; at < end; ) {
      const { bytesRead } = await readFrom(from, buffer, 0, Math.min(COPY_BYTES, end - at), at);
      if (bytesRead === 0) return;
      const isEmpty = buffer.compare(zeros, 0, bytesRead, 0, bytesRead) === 0;
      for (let done = isEmpty ? bytesRead : 0; done < bytesRead; ) {
        done += (await writeTo(this.fd, buffer, done, bytesRead - done, at + done)).bytesWritten;
      }
      at += bytesRead;
    }
  }
}

/** Removes drafts in a folder below `root` whose writers are gone. @param prefix only of names that begin so. */
export function removeStale(root: string, folder: string, prefix = MARK): void {
  for (const name of listBelow(root, folder)) {
    const [, pid, begin] = DRAFT.exec(name) ?? [];
    if (name.startsWith(prefix) && pid !== undefined && beginOf(Number(pid)) !== begin) {
      removeBelow(root, join(folder, name));
    }
  }
}

/** When a process began, in ticks since the system's start: tells it from a later one of its number. 0 if it is gone. */
function beginOf(pid: number): string {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
  } catch {
    return '0';
  }
}

/** The new file belongs to whom the old one did, as far as this process may do that. */
function keepOwner(file: number, old: number): void {
  const { mode, uid, gid } = fstatSync(old);
  const own = fstatSync(file);
  try {
    if (own.uid !== uid || own.gid !== gid) fchownSync(file, uid, gid);
    fchmodSync(file, mode & 0o777);
  } catch {
    // Another's file that everybody may write: it is ours from now on.
  }
}
