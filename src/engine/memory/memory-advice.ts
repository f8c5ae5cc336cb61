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

/** The same on a thread of the pool. Resolves when the call has ended, also after a failure. */
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

/** The address of `bytes` in the process. @throws Error if the library is missing. */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(koffi().address(bytes));
}

/** MADV_HUGEPAGE of Linux's <sys/mman.h>. */
const ADVICE_HUGE_PAGE = 14;
const HUGE_PAGE_BYTES = 2 * 2 ** 20;

/**
 * Asks Linux for huge pages in `memory` from `address` on: fresh guest RAM, which a target fills, then costs one page fault
 * per 2 MiB instead of one per 4 KiB (docs/adr/0003-huge-pages.md). It is advice: without the call or its library
 * everything works with small pages.
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
 * Gives all pages of `memory` except the kernels' own back to the system: RAM and work area are zero again, and use no
 * memory until they are written. No thread may use the memory meanwhile.
 * @returns false if that is not possible here: the memory still has its content, or a part of it, and must be dropped.
 */
export function giveBackMemory(memory: GuestMemory): boolean {
  return memory.segments.every(({ buffer }) => {
    const bytes = new Uint8Array(buffer, DIRTY_LOG_ADDRESS);
    // The call may succeed without an effect, for example on memory that is backed by a file.
    const last = bytes.length - PAGE_BYTES;
    bytes[0] = 1;
    bytes[last] = 1;
    return madvise(bytes, ADVICE_DONT_NEED) && bytes[0] === 0 && bytes[last] === 0;
  });
}

/** MADV_POPULATE_WRITE of Linux's <sys/mman.h>, since 5.14. */
const ADVICE_POPULATE_WRITE = 23;
/** Most bytes between the received pages and the populated ones. */
const AHEAD_BYTES = 128 * 2 ** 20;
/** Bytes for one call, which cannot be interrupted. */
const CALL_BYTES = 16 * 2 ** 20;
/** Least part of the newest pages that is not zero: memory for zero pages would be wasted. */
const FULL_PART_MIN = 0.9;

/** Pages that were received. */
export type PageCounts = { readonly normal: number; readonly zero: number };

/**
 * Lets the system allocate pages of fresh guest memory shortly before they are filled, on another thread: the page fault of
 * a first write takes longer than reading and checking a page. The position is a guess for streams that walk through
 * RAM; a wrong guess only costs memory.
 */
export class PopulateAhead {
  #memory: GuestMemory | null = null;
  #stretches: readonly Uint8Array[] = [];
  #seen: PageCounts = { normal: 0, zero: 0 };
  /** Position in RAM, in bytes, behind the pages that were populated or skipped. */
  #next = 0;
  #call: Promise<void> | null = null;

  /** Called regularly while pages are received; `memory` is null while it is not known. */
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

  /** Resolves when no call is in progress. Without a later `follow` nothing touches the memory any more. */
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

  /** The bytes for one call from this position in RAM on; empty behind its end. */
  #stretchAt(position: number): Uint8Array {
    let from = position;
    for (const stretch of this.#stretches) {
      if (from < stretch.length) return stretch.subarray(from, from + CALL_BYTES);
      from -= stretch.length;
    }
    return new Uint8Array();
  }
}
