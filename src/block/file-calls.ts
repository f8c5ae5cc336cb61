import { close, constants, open, read, write } from 'node:fs';
import { promisify } from 'node:util';
import { koffi, libcFunction } from '../native/c-library.ts';

/*
 * System calls that Node does not offer, on Linux: locks that belong to an open file (a crash releases them, and QEMU
 * uses the same kind), holes in files, the cached pages of a file, and the address of bytes in memory.
 */

/** Of Linux's <fcntl.h>; the same on x86-64 and arm64. */
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const LOCK_TYPES = { read: 0, write: 1, none: 2 } as const;
/** struct flock on 64-bit systems: short type, short whence, 4 bytes padding, long start, long length, int pid. */
const FLOCK_BYTES = 32;
const PUNCH_HOLE_KEEP_SIZE = 3;
/** cachestat(2), of Linux 6.5; the same number on every architecture. */
const SYS_CACHESTAT = 451;
/** struct cachestat_range: u64 offset, u64 length. struct cachestat: five u64, the first of them cached pages. */
const CACHESTAT_RANGE_BYTES = 16;
const CACHESTAT_BYTES = 40;
/** EAGAIN and EACCES: another open file has the lock. */
const HELD_BY_ANOTHER = [11, 13];

export type LockType = keyof typeof LOCK_TYPES;

type Async = { async(...args: unknown[]): void };
type Libc = {
  fcntl(fd: number, command: number, type: 'void *', lock: Buffer): number;
  fallocate: ((fd: number, mode: number, offset: number, bytes: number) => number) & Async;
  cachestat(
    number: number,
    fd: 'int',
    file: number,
    range: 'void *',
    from: Buffer,
    result: 'void *',
    to: Buffer,
    flags: 'unsigned int',
    none: number,
  ): number;
  address(bytes: Uint8Array): bigint;
  errno(): number;
};

let loaded: Libc | null | undefined;

function libc(): Libc | null {
  if (loaded !== undefined) return loaded;
  loaded = null;
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return null;
  try {
    loaded = {
      fcntl: libcFunction('int fcntl(int fd, int command, ...)') as Libc['fcntl'],
      fallocate: libcFunction('int fallocate(int fd, int mode, int64_t offset, int64_t bytes)') as Libc['fallocate'],
      cachestat: libcFunction('long syscall(long number, ...)') as Libc['cachestat'],
      address: (bytes) => BigInt(koffi().address(bytes)),
      errno: koffi().errno,
    };
  } catch {
    loaded = null;
  }
  return loaded;
}

/**
 * Tries to lock one byte of an open file, without waiting.
 * @returns `unsupported` if the system or the file system has no such locks.
 */
export function lockByte(fd: number, byte: number, type: LockType): 'locked' | 'busy' | 'unsupported' {
  const library = libc();
  if (library === null) return 'unsupported';
  if (library.fcntl(fd, F_OFD_SETLK, 'void *', flock(byte, type)) === 0) return 'locked';
  return HELD_BY_ANOTHER.includes(library.errno()) ? 'busy' : 'unsupported';
}

/** True if another open file holds any lock on this byte. Takes no lock. */
export function isByteLocked(fd: number, byte: number): boolean {
  const lock = flock(byte, 'write');
  if (libc()?.fcntl(fd, F_OFD_GETLK, 'void *', lock) !== 0) return true;
  return lock.readInt16LE(0) !== LOCK_TYPES.none;
}

/** Gives a range of a file back to the file system; it reads as zeros afterwards. Errors are ignored. */
export function punchHole(fd: number, stretch: { offset: number; bytes: number }): Promise<void> {
  const library = libc();
  if (library === null) return Promise.resolve();
  return new Promise((resolve) => {
    library.fallocate.async(fd, PUNCH_HOLE_KEEP_SIZE, stretch.offset, stretch.bytes, () => resolve());
  });
}

/** Number of pages of this range of a file in the page cache; null if the system cannot say. */
export function cachedPages(fd: number, stretch: { offset: number; bytes: number }): number | null {
  const range = Buffer.alloc(CACHESTAT_RANGE_BYTES);
  range.writeBigUInt64LE(BigInt(stretch.offset), 0);
  range.writeBigUInt64LE(BigInt(stretch.bytes), 8);
  const result = Buffer.alloc(CACHESTAT_BYTES);
  const status = libc()?.cachestat(SYS_CACHESTAT, 'int', fd, 'void *', range, 'void *', result, 'unsigned int', 0);
  return status === 0 ? Number(result.readBigUInt64LE(0)) : null;
}

/** Address of `bytes` in the process; null if the system is not supported. */
export function addressOf(bytes: Uint8Array): bigint | null {
  return libc()?.address(bytes) ?? null;
}

function flock(byte: number, type: LockType): Buffer {
  const lock = Buffer.alloc(FLOCK_BYTES);
  lock.writeInt16LE(LOCK_TYPES[type], 0);
  lock.writeBigInt64LE(BigInt(byte), 8);
  lock.writeBigInt64LE(1n, 16);
  return lock;
}

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
