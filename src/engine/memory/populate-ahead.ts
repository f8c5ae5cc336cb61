import type { GuestMemory } from './machine-state.ts';
import { madviseAsync } from './memory-advice.ts';

/** MADV_POPULATE_WRITE of Linux's <sys/mman.h>, since 5.14. */
const ADVICE_POPULATE_WRITE = 23;
const PAGE_BYTES = 4096;
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
