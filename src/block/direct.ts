import { close, constants, open, read, write } from 'node:fs';
import { promisify } from 'node:util';
import { addressOf, cachedPages } from './libc.ts';
import { ReadRate } from './read-rate.ts';

const openFile = promisify(open);
const closeFile = promisify(close);

/** Of positions, lengths and addresses: the page size, which suffices for every device with sectors up to 4 KiB. */
const ALIGN_BYTES = 4096;
/** Less gains nothing from it. */
const BYTES_MIN = 256 * 1024;

/**
 * Large reads and writes past the page cache (O_DIRECT), for what is written once and made stable right away, or read
 * once: the copy through the cache takes a processor, and pushes out what the cache is good for. What is cached already
 * is not read this way, nor is anything of a disk so slow that a second reader should find it cached
 * (docs/adr/0042-vm-state-by-direct-io.md). The file system keeps both ways coherent.
 */
export class DirectFile {
  readonly #fd: number;
  readonly #flags: number;
  readonly #rate = new ReadRate();
  /** The descriptor, once it was asked for; null where the file system has nothing of the kind. */
  #opening: Promise<number | null> | null = null;
  #isRefused = process.platform !== 'linux';

  /** @param fd the file; the descriptor that is made here is another, of the same file. */
  constructor(fd: number, { readOnly }: { readonly readOnly: boolean }) {
    this.#fd = fd;
    this.#flags = (readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_DIRECT;
  }

  /** @returns bytes written; null if these cannot be written this way. */
  async write(position: number, from: Uint8Array): Promise<number | null> {
    if (!this.#suits(position, from)) return null;
    const fd = await this.#descriptor();
    if (fd === null) return null;
    return this.#outcome((done) => write(fd, from, 0, from.length, position, done));
  }

  /** @returns bytes read, 0 at the end of the file; null if these cannot, or should not, be read this way. */
  async read(position: number, into: Uint8Array): Promise<number | null> {
    if (this.#rate.isSlow || !this.#suits(position, into)) return null;
    const cached = cachedPages(this.#fd, { offset: position, bytes: into.length });
    if (cached === null || cached > into.length / ALIGN_BYTES / 2) return null;
    const fd = await this.#descriptor();
    if (fd === null) return null;
    return this.#rate.measure(() => this.#outcome((done) => read(fd, into, 0, into.length, position, done)));
  }

  /** Nothing may be under way. */
  async close(): Promise<void> {
    const fd = await this.#opening;
    if (typeof fd === 'number') await closeFile(fd);
  }

  #suits(position: number, bytes: Uint8Array): boolean {
    if (this.#isRefused || bytes.length < BYTES_MIN) return false;
    if (position % ALIGN_BYTES !== 0 || bytes.length % ALIGN_BYTES !== 0) return false;
    return (addressOf(bytes) ?? 1n) % BigInt(ALIGN_BYTES) === 0n;
  }

  #descriptor(): Promise<number | null> {
    this.#opening ??= openFile(`/proc/self/fd/${this.#fd}`, this.#flags).catch(() => null);
    return this.#opening;
  }

  #outcome(call: (done: (error: NodeJS.ErrnoException | null, count: number) => void) => void): Promise<number | null> {
    return new Promise((resolve, reject) => {
      call((error, count) => {
        // The file system knows the flag and has no such calls.
        const isRefusal = error?.code === 'EINVAL';
        this.#isRefused ||= isRefusal;
        if (isRefusal) resolve(null);
        else if (error) reject(error);
        else resolve(count);
      });
    });
  }
}
