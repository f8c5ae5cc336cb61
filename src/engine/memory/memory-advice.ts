import { koffi, libcFunction } from '../../native/c-library.ts';
import { DIRTY_LOG_ADDRESS, PAGE_BYTES } from './layout.ts';
import type { GuestMemory } from './machine-state.ts';

type Madvise = {
  (address: Uint8Array, length: number, advice: number): number;
  async(address: Uint8Array, length: number, advice: number, done: () => void): void;
};

let call: Madvise | null = null;

/**
 * Gives Linux advice about whole, aligned pages of memory (`man 2 madvise`).
 * @returns false where the call or its library is missing, or the system does not take the advice.
 */
export function madvise(bytes: Uint8Array, advice: number): boolean {
  if (process.platform !== 'linux' || bytes.length === 0) return false;
  try {
    return madviseOf()(bytes, bytes.length, advice) === 0;
  } catch {
    return false;
  }
}

/** The same on a thread of the pool. Resolves when the call has ended, however it did. */
export async function madviseAsync(bytes: Uint8Array, advice: number): Promise<void> {
  if (process.platform !== 'linux' || bytes.length === 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  try {
    madviseOf().async(bytes, bytes.length, advice, resolve);
  } catch {
    return;
  }
  await promise;
}

function madviseOf(): Madvise {
  call ??= libcFunction('int madvise(void *address, size_t length, int advice)') as Madvise;
  return call;
}

/** Where `bytes` lie in the process. @throws Error if the library is missing. */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(koffi().address(bytes));
}

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
