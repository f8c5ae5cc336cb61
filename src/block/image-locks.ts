import { isByteLocked, lockByte } from './file-calls.ts';
import { BlockError } from './image.ts';

/*
 * Locks of an image file. QEMU locks single bytes of the file: a lock on byte 100 + n means "I use permission n", a
 * lock on byte 200 + n means "no other process may use permission n". vmferry locks the same bytes, so that QEMU and
 * vmferry exclude each other. Byte 300 excludes a second vmferry. The locks belong to the open file: closing it, or a
 * crash, releases them (docs/adr/0036-image-locks-compatible-with-qemu.md).
 */
const CONSISTENT_READ = 0;
const WRITE = 1;
const RESIZE = 3;
const USED = 100;
const FORBIDDEN = 200;
const VMFERRY = 300;

/**
 * How a process uses an image file. `none`: reads it without any lock. `inactive`: the guest is on the other side of a
 * migration, and that side may write. `read`: no process may write. `write`: only this process may write.
 */
export type ImageUse = 'none' | 'inactive' | 'read' | 'write';

type Permissions = { readonly used: readonly number[]; readonly forbidden: readonly number[] };

const PERMISSIONS: Readonly<Record<ImageUse, Permissions>> = {
  none: { used: [], forbidden: [] },
  inactive: { used: [CONSISTENT_READ], forbidden: [] },
  read: { used: [CONSISTENT_READ], forbidden: [WRITE, RESIZE] },
  write: { used: [CONSISTENT_READ, WRITE, RESIZE], forbidden: [WRITE, RESIZE] },
};
const ALL_BYTES = [CONSISTENT_READ, WRITE, RESIZE].flatMap((permission) => [USED + permission, FORBIDDEN + permission]);

/**
 * Changes the locks of an open file from those of one use to those of another.
 * @throws BlockError `image_locked`; `image_unsupported` if the system has no such locks and the use is `write`. After
 * an error the locks are those of `from`.
 */
export function lockImage(fd: number, path: string, { from, to }: { from: ImageUse; to: ImageUse }): void {
  try {
    takeLocks(fd, path, to);
  } catch (error) {
    takeBytes(fd, from);
    throw error;
  }
}

function takeLocks(fd: number, path: string, use: ImageUse): void {
  const taken = takeBytes(fd, use);
  if (taken === 'busy') {
    const what = use === 'write' ? 'has this image open' : 'writes to this image';
    throw new BlockError('image_locked', `${path}: another vmferry, or another node of this one, ${what}.`);
  }
  if (taken === 'unsupported') {
    if (use !== 'write') return;
    throw new BlockError(
      'image_unsupported',
      `${path}: this system or file system cannot lock files (Linux open file description locks are needed), so the image may only be opened read-only.`,
    );
  }
  // Lock first, then test: of two processes that start at the same time each sees the locks of the other.
  const { used, forbidden } = PERMISSIONS[use];
  for (const permission of forbidden) refuseIfLocked(fd, path, USED + permission);
  for (const permission of used) refuseIfLocked(fd, path, FORBIDDEN + permission);
}

function refuseIfLocked(fd: number, path: string, byte: number): void {
  if (!isByteLocked(fd, byte)) return;
  const what = WHAT[byte] ?? 'uses this image';
  throw new BlockError('image_locked', `${path}: another program ${what} (lock on byte ${byte}).`);
}

const WHAT: Readonly<Record<number, string>> = {
  [USED + WRITE]: 'writes to this image',
  [USED + RESIZE]: 'may change the size of this image',
  [FORBIDDEN + CONSISTENT_READ]: 'does not let others read this image',
  [FORBIDDEN + WRITE]: 'does not let others write to this image',
  [FORBIDDEN + RESIZE]: 'does not let others change the size of this image',
};

/** Locks the bytes of a use, and unlocks all other bytes. */
function takeBytes(fd: number, use: ImageUse): ReturnType<typeof lockByte> {
  const own = lockByte(fd, VMFERRY, use === 'write' || use === 'read' ? use : 'none');
  if (own !== 'locked') return own;
  const { used, forbidden } = PERMISSIONS[use];
  const wanted = new Set([...used.map((one) => USED + one), ...forbidden.map((one) => FORBIDDEN + one)]);
  for (const byte of ALL_BYTES) {
    const outcome = lockByte(fd, byte, wanted.has(byte) ? 'read' : 'none');
    if (outcome !== 'locked') return outcome;
  }
  return 'locked';
}

/**
 * A range of lock keys, both ends included (LOCK_KEYS, or clusters). `alone`: no other request may use a key of the range at the
 * same time.
 */
export type LockRange = { readonly first: number; readonly last: number; readonly alone: boolean };

type Request = LockRange & { readonly start: (() => void) | null };

/**
 * Orders requests that use the same keys. A request waits for every earlier request that overlaps it, unless both share
 * their keys. A request for all keys therefore waits for all earlier requests and delays all later ones.
 */
export class RangeLock {
  readonly #active = new Set<Request>();
  readonly #waiting: Request[] = [];

  /** Runs `work` when the range is free, and frees the range when the work ends or fails. */
  async with<Result>(range: LockRange, work: () => Promise<Result>): Promise<Result> {
    const release = await this.#acquire(range);
    try {
      return await work();
    } finally {
      release();
    }
  }

  async #acquire(range: LockRange): Promise<() => void> {
    let held: Request = { ...range, start: null };
    if (this.#mayStart(held, this.#waiting.length)) this.#active.add(held);
    else {
      await new Promise<void>((resolve) => {
        held = { ...range, start: resolve };
        this.#waiting.push(held);
      });
    }
    return () => {
      this.#active.delete(held);
      this.#startWaiting();
    };
  }

  #startWaiting(): void {
    for (let index = 0; index < this.#waiting.length; ) {
      const request = this.#waiting[index]!;
      if (!this.#mayStart(request, index)) {
        index += 1;
        continue;
      }
      this.#waiting.splice(index, 1);
      this.#active.add(request);
      request.start?.();
    }
  }

  #mayStart(request: LockRange, earlier: number): boolean {
    for (const other of this.#active) if (collide(request, other)) return false;
    for (let index = 0; index < earlier; index += 1) if (collide(request, this.#waiting[index]!)) return false;
    return true;
  }
}

function collide(one: LockRange, other: LockRange): boolean {
  return (one.alone || other.alone) && one.first <= other.last && other.first <= one.last;
}
