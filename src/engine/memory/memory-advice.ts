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

/** MADV_POPULATE_WRITE of Linux's <sys/mman.h>, since 5.14. */
const ADVICE_POPULATE_WRITE = 23;
/** So far ahead of the pages that have come, at most. */
const AHEAD_BYTES = 128 * 2 ** 20;
/** With one call, whose end has to be waited for whatever happens meanwhile. */
const CALL_BYTES = 16 * 2 ** 20;
/** Of the pages that came last, this part must hold something: memory for pages that stay zero would be wasted. */
const FULL_PART_MIN = 0.9;

/** Pages that have come so far. */
export type PageCounts = { readonly normal: number; readonly zero: number };

/**
 * Has the system give fresh guest memory its pages a little before they are filled, on another thread: the first touch
 * of a page otherwise takes longer than to read and check what comes into it. Only a guess at where pages will be
 * written, for streams that walk through RAM: a wrong one costs memory and nothing else.
 */
export class PopulateAhead {
  #memory: GuestMemory | null = null;
  #stretches: readonly Uint8Array[] = [];
  #seen: PageCounts = { normal: 0, zero: 0 };
  /** Bytes from the begin of RAM that were populated, or passed without that. */
  #next = 0;
  #call: Promise<void> | null = null;

  /** To be called now and then, with the memory once it is known. */
  follow(memory: GuestMemory | null, { normal, zero }: PageCounts): void {
    if (memory === null || this.#call !== null) return;
    this.#spread(memory);
    const pages = { normal: normal - this.#seen.normal, zero: zero - this.#seen.zero };
    const come = pages.normal + pages.zero;
    if (come === 0) return;
    this.#seen = { normal, zero };
    const position = (normal + zero) * PAGE_BYTES;
    this.#next = Math.max(this.#next, position);
    if (pages.normal < come * FULL_PART_MIN || this.#next >= position + AHEAD_BYTES) return;
    const stretch = this.#stretchAt(this.#next);
    if (stretch.length === 0) return;
    this.#next += stretch.length;
    this.#call = madviseAsync(stretch, ADVICE_POPULATE_WRITE).finally(() => {
      this.#call = null;
    });
  }

  /** Nothing touches the memory any more once this has resolved, and `follow` is not called. */
  async idle(): Promise<void> {
    await this.#call;
  }

  #spread(memory: GuestMemory): void {
    if (this.#memory === memory) return;
    this.#memory = memory;
    this.#stretches = memory.blocks.flatMap(({ extents }) =>
      extents.map(({ segment, address, bytes }) => new Uint8Array(memory.segments[segment]!.buffer, address, bytes)),
    );
  }

  /** What one call is to populate from this byte of RAM on; empty behind its end. */
  #stretchAt(position: number): Uint8Array {
    let from = position;
    for (const stretch of this.#stretches) {
      if (from < stretch.length) return stretch.subarray(from, from + CALL_BYTES);
      from -= stretch.length;
    }
    return new Uint8Array();
  }
}
