import { DIRTY_LOG_ADDRESS, PAGE_BYTES } from './layout.ts';
import type { GuestMemory } from './machine-state.ts';
import { madvise } from './madvise.ts';

/** MADV_DONTNEED of Linux's <sys/mman.h>: the pages go at once, and read as zeros from then on. */
const ADVICE_DONT_NEED = 4;

/**
 * Gives all pages of `memory` back to the system but the kernels' own: RAM and work area are then as fresh as in memory
 * that was just made, and cost nothing until they are written. Nobody may use the memory meanwhile.
 * @returns false if that is not possible here: the memory holds what it held, or a part of it, and must be dropped.
 */
export function giveBackMemory(memory: GuestMemory): boolean {
  return memory.segments.every(({ buffer }) => {
    const bytes = new Uint8Array(buffer, DIRTY_LOG_ADDRESS);
    // Advice may be taken without an effect, as for memory that is backed by a file: the last byte tells.
    const last = bytes.length - PAGE_BYTES;
    bytes[0] = 1;
    bytes[last] = 1;
    return madvise(bytes, ADVICE_DONT_NEED) && bytes[0] === 0 && bytes[last] === 0;
  });
}
