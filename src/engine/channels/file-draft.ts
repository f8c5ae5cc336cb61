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

/** Size of one copy step, in bytes. */
const COPY_BYTES = 2 ** 20;

/** The name of a draft: the mark, a digest of the final name, process id and start time of the writer, a random part. */
const MARK = '.vmferry-';
const DRAFT = /^\.vmferry-[0-9a-f]{16}-(\d+)-(\d+)-[0-9a-f]{8}$/;

/**
 * A file that is written under a temporary name and gets its final name when it is complete. Until `keep` has resolved,
 * an existing file with the final name stays unchanged. If the writer is killed, its draft is removed by the next draft
 * for the same name, and by the next start of the service.
 */
export class FileDraft {
  /** Open for writing; new and empty. */
  readonly fd: number;
  readonly #root: string;
  readonly #path: string;
  readonly #draft: string;
  /** The existing file, open for reading; null if there is none, or if none of its bytes are kept. */
  readonly #old: number | null;
  readonly #replaces: boolean;
  readonly #headBytes: number;
  #isOpen = true;

  /**
   * @param headBytes how many bytes at the start of the existing file are kept.
   * @throws TransferError if the file cannot be created, or the existing one may not be replaced.
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

  /** Gives the file its final name. @throws TransferError; the existing file is unchanged then. */
  async keep(): Promise<void> {
    try {
      if (this.#old !== null) await this.#copyHead(this.#old);
      // After a power failure at least one of the two files is complete.
      if (this.#replaces) await flush(this.fd);
      renameBelow(this.#root, this.#draft, this.#path);
    } catch (error) {
      this.discard();
      throw toTransferError(error, `file:${this.#path}`);
    }
    await this.#close();
  }

  /** Removes the draft. Never throws; has no effect after `keep`. No write may be in progress. */
  discard(): void {
    if (!this.#isOpen) return;
    try {
      removeBelow(this.#root, this.#draft);
    } catch {
      // The folder is gone or not accessible. The next start of the service removes the draft.
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

  /** Copies the kept bytes. Zeros are skipped, so a file with holes keeps its holes. */
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

/** Removes drafts in a folder below `root` whose writers have ended. @param prefix limits this to names that begin with it. */
export function removeStale(root: string, folder: string, prefix = MARK): void {
  for (const name of listBelow(root, folder)) {
    const [, pid, begin] = DRAFT.exec(name) ?? [];
    if (name.startsWith(prefix) && pid !== undefined && beginOf(Number(pid)) !== begin) {
      removeBelow(root, join(folder, name));
    }
  }
}

/** The start time of a process, in ticks since boot; it distinguishes processes with the same id. '0' if there is none. */
function beginOf(pid: number): string {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
  } catch {
    return '0';
  }
}

/** Gives the new file the owner and the mode of the old one, if this process may do that. */
function keepOwner(file: number, old: number): void {
  const { mode, uid, gid } = fstatSync(old);
  const own = fstatSync(file);
  try {
    if (own.uid !== uid || own.gid !== gid) fchownSync(file, uid, gid);
    fchmodSync(file, mode & 0o777);
  } catch {
    // The old file belonged to another user and was writable for all. The new one belongs to this process.
  }
}
