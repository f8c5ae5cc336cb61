import { addressOf, madvise } from './madvise.ts';

/** MADV_HUGEPAGE of Linux's <sys/mman.h>. */
const ADVICE_HUGE_PAGE = 14;
const HUGE_PAGE_BYTES = 2 * 2 ** 20;

/**
 * Asks Linux to back `memory` from `address` on with huge pages: the first write of fresh guest RAM then costs a fault per 2 MiB and
 * not per 4 KiB, which is what a target does all the time (docs/adr/0003-huge-pages.md). It is advice: where the call
 * or its library is missing, everything works with small pages.
 * @returns true if the system took the advice.
 */
export function adviseHugePages(memory: WebAssembly.Memory, address: number): boolean {
  try {
    const bytes = new Uint8Array(memory.buffer, address);
    const skip = Number(-addressOf(bytes) & BigInt(HUGE_PAGE_BYTES - 1));
    const length = Math.floor((bytes.length - skip) / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
    return madvise(bytes.subarray(skip, skip + Math.max(0, length)), ADVICE_HUGE_PAGE);
  } catch {
    return false;
  }
}
