import { BlockError } from './image.ts';
import { isByteLocked, lockByte } from './libc.ts';

/*
 * Who may write an image. QEMU locks single bytes of the file: 100 + n says "I use permission n", 200 + n "nobody else
 * may", with n = 1 for writing. A read lock on 201 keeps its writers away and lets its readers in; byte 300 is between
 * vmferry and vmferry. The locks belong to the open file: closing it or a crash releases them
 * (docs/adr/0036-image-locks.md).
 */
const QEMU_WRITES = 101;
const QEMU_FORBIDS_WRITING = 201;
const VMFERRY = 300;

/** @throws BlockError `image_locked`, or `image_unsupported` where there are no such locks. */
export function lockForWriting(fd: number, path: string): void {
  const own = lockByte(fd, VMFERRY, 'write');
  if (own === 'busy')
    throw new BlockError('image_locked', `${path}: another vmferry, or another node of this one, has this image open.`);
  if (own === 'unsupported' || lockByte(fd, QEMU_FORBIDS_WRITING, 'read') === 'unsupported') {
    throw new BlockError(
      'image_unsupported',
      `${path}: this system or file system cannot lock files (Linux open file description locks are needed), so the image may only be opened read-only.`,
    );
  }
  // Locked first and asked then: two that come at once both see the other.
  for (const byte of [QEMU_WRITES, QEMU_FORBIDS_WRITING]) {
    if (!isByteLocked(fd, byte)) continue;
    const what = byte === QEMU_WRITES ? 'writes to this image' : 'does not let others write to this image';
    throw new BlockError('image_locked', `${path}: another program ${what} (lock on byte ${byte}).`);
  }
}
