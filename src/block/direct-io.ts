import { close, constants, open, read, write } from 'node:fs';
import { promisify } from 'node:util';
import { addressOf, cachedPages } from './file-calls.ts';

const openFile = promisify(open);
const closeFile = promisify(close);

/** Alignment of positions, lengths and addresses: the page size is enough for every device with sectors up to 4 KiB. */
const ALIGN_BYTES = 4096;
/** Shorter reads and writes gain nothing from direct I/O. */
const DIRECT_BYTES_MIN = 256 * 1024;

/**
 * Large reads and writes past the page cache (O_DIRECT), for data that is written once and flushed at once, or read
 * once. A copy through the cache would use a processor and would displace useful pages. Data that is cached already is
 * not read directly. Data on a slow disk is not either, because a second reader should find it in the cache
 * (docs/adr/0042-vm-state-by-direct-io.md). The file system keeps the cache and direct I/O coherent.
 */
export class DirectFile {
  readonly #fd: number;
  readonly #flags: number;
  readonly #rate = new ReadRate();
  /** The descriptor for direct I/O after its first use; null if the file system has no direct I/O. */
  #opening: Promise<number | null> | null = null;
  #isRefused = process.platform !== 'linux';

  /** @param fd the open file; direct I/O uses a second descriptor of the same file. */
  constructor(fd: number, { readOnly }: { readonly readOnly: boolean }) {
    this.#fd = fd;
    this.#flags = (readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_DIRECT;
  }

  /** @returns the number of bytes written; null if direct I/O is not possible for them. */
  async write(position: number, from: Uint8Array): Promise<number | null> {
    if (!this.#suits(position, from)) return null;
    const fd = await this.#descriptor();
    if (fd === null) return null;
    return this.#outcome((done) => write(fd, from, 0, from.length, position, done));
  }

  /** @returns the number of bytes read, 0 at the end of the file; null if direct I/O is not possible or not useful. */
  async read(position: number, into: Uint8Array): Promise<number | null> {
    if (this.#rate.isSlow || !this.#suits(position, into)) return null;
    const cached = cachedPages(this.#fd, { offset: position, bytes: into.length });
    if (cached === null || cached > into.length / ALIGN_BYTES / 2) return null;
    const fd = await this.#descriptor();
    if (fd === null) return null;
    return this.#rate.measure(() => this.#outcome((done) => read(fd, into, 0, into.length, position, done)));
  }

  /** Closes the second descriptor. No call may be in progress. */
  async close(): Promise<void> {
    const fd = await this.#opening;
    if (typeof fd === 'number') await closeFile(fd);
  }

  #suits(position: number, bytes: Uint8Array): boolean {
    if (this.#isRefused || bytes.length < DIRECT_BYTES_MIN) return false;
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
        // Some file systems accept the flag at open and refuse each call.
        const isRefusal = error?.code === 'EINVAL';
        this.#isRefused ||= isRefusal;
        if (isRefusal) resolve(null);
        else if (error) reject(error);
        else resolve(count);
      });
    });
  }
}

/** A disk below this rate is slow: it is worth the memory to cache its files. */
const BYTES_PER_MS_MIN = 500_000;
/** The rate is judged after this many bytes. */
const JUDGED_BYTES_MIN = 32 * 2 ** 20;

/** The read rate of a file, over the time in which at least one read is in progress. */
export class ReadRate {
  readonly #now: () => number;
  #underWay = 0;
  #sinceMs = 0;
  #busyMs = 0;
  #bytes = 0;

  /** @param now milliseconds of a monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** False until enough bytes were read to judge the rate. */
  get isSlow(): boolean {
    return this.#bytes >= JUDGED_BYTES_MIN && this.#bytes < this.#busyMs * BYTES_PER_MS_MIN;
  }

  /** Runs and counts a read. @param read resolves to the number of bytes read. */
  async measure(read: () => Promise<number | null>): Promise<number | null> {
    if (this.#underWay === 0) this.#sinceMs = this.#now();
    this.#underWay += 1;
    try {
      const count = await read();
      this.#bytes += count ?? 0;
      return count;
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#busyMs += this.#now() - this.#sinceMs;
    }
  }
}
