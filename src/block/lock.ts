import { BlockError } from './image.ts';
import { isByteLocked, lockByte } from './libc.ts';

/*
 * Who may do what with an image. QEMU locks single bytes of the file: 100 + n says "I use permission n", 200 + n "nobody
 * else may use it". The same bytes are locked here, so that QEMU and vmferry keep each other out; byte 300 is between
 * vmferry and vmferry. The locks belong to the open file: closing it or a crash releases them
 * (docs/adr/0036-image-locks-compatible-with-qemu.md).
 */
const CONSISTENT_READ = 0;
const WRITE = 1;
const RESIZE = 3;
const USED = 100;
const FORBIDDEN = 200;
const VMFERRY = 300;

/**
 * What a file is open for. `none`: to be looked at, whoever uses it. `inactive`: it belongs to a machine whose guest is
 * on the other side of a migration, which may write to it. `read`: nobody may write to it. `write`: nobody else may.
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
 * @throws BlockError `image_locked`, or `image_unsupported` where there are no such locks and the image is to be written;
 * the locks are those of `from` then.
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
  // Locked first and asked then: two that come at once both see the other.
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

/** Locks the bytes of a use, and unlocks the others. */
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
