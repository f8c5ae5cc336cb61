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
      fcntl: libcFunction('int fcntl(int fd, int command, ...)') as unknown as Libc['fcntl'],
      fallocate: libcFunction('int fallocate(int fd, int mode, int64_t offset, int64_t bytes)') as Libc['fallocate'],
      cachestat: libcFunction('long syscall(long number, ...)') as unknown as Libc['cachestat'],
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
