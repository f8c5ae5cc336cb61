import { firstPageOf, type SegmentKernels } from '../memory/guest-memory.ts';
import { MIGRATION_BITMAP_ADDRESS, PAGE_BYTES } from '../memory/layout.ts';
import type { GuestMemory, RamBlock, RamExtent } from '../memory/machine-state.ts';
import type { PageRun, SentRun } from './page-format.ts';

/** Requests that wait, at most. A target has one for each thread that waits for a page; one that asks for more is broken. */
const REQUESTS_MAX = 1024;

/** A stretch of a RAM block; `offset` and `bytes` are multiples of the page size. */
export type RequestedPages = { readonly block: string; readonly offset: number; readonly bytes: number };

/**
 * The pages that are still to be sent, in the order in which they are sent: pages that were requested first, in the
 * order of their requests, then a walk over RAM from the first block to the last (a pass). A page is to be sent while
 * its bit in the migration bitmap is set. So a requested page is sent once, and the walk does not send it again.
 *
 * Ownership: the migration bitmap of the work area belongs to this object and the page encoder (see memory/layout.ts).
 */
export class PageQueue {
  readonly #memory: GuestMemory;
  readonly #segments: readonly SegmentKernels[];
  readonly #requests: PageRun[] = [];
  /** The rest of the extent at which the walk has arrived; null at the end of RAM. */
  #walk: PageRun | null = null;
  #extent = 0;
  #dirtyPages = 0;

  /** `segments`: one for each segment of `memory`. */
  constructor(memory: GuestMemory, segments: readonly SegmentKernels[]) {
    this.#memory = memory;
    this.#segments = segments;
    this.rewind();
  }

  /** Bytes of the pages that are still to be sent. */
  get remainingBytes(): number {
    return this.#dirtyPages * PAGE_BYTES;
  }

  /** True if the walk has reached the end of RAM and no request waits. */
  get isPassEnded(): boolean {
    return this.#walk === null && this.#requests.length === 0;
  }

  /** Empties the dirty log and marks every page. */
  markAll(): void {
    for (const { kernels, words } of this.#segments) {
      kernels.syncDirtyLog(words);
      kernels.clearMigrationBitmap(words);
    }
    this.#dirtyPages = 0;
    for (const extent of this.#memory.blocks.flatMap((block) => block.extents)) {
      const { firstPage, endPage } = pagesOf(extent);
      this.#segment(extent).kernels.markAllDirty(firstPage, endPage);
      this.#dirtyPages += endPage - firstPage;
    }
  }

  /** Takes the dirty log into the migration bitmap. @returns how many pages became dirty that were not marked. */
  sync(): number {
    let found = 0;
    for (const { kernels, words } of this.#segments) found += kernels.syncDirtyLog(words);
    this.#dirtyPages += found;
    return found;
  }

  /** Begins the next walk at the first block. Requests stay. */
  rewind(): void {
    this.#walkAt(0, 0);
  }

  /**
   * Puts pages in front of the walk, behind the requests before. Pages that are not marked were sent before and are
   * skipped; with `isSentAgain` they are marked first, for a target that has lost them.
   * @throws RangeError for pages outside RAM, a stretch that is not of whole pages, and more than REQUESTS_MAX requests.
   */
  request(pages: RequestedPages, { isSentAgain = false }: { readonly isSentAgain?: boolean } = {}): void {
    const { block: name, offset, bytes } = pages;
    const index = this.#memory.blocks.findIndex((candidate) => candidate.name === name);
    const block = this.#memory.blocks[index];
    if (block === undefined) throw new RangeError(`pages of RAM block '${name}' are requested, which does not exist`);
    if (!isStretchOf(block, offset, bytes)) {
      throw new RangeError(
        `${bytes} bytes at offset ${offset} of RAM block '${name}' are requested: no whole pages of it`,
      );
    }
    for (const extent of block.extents) {
      const from = Math.max(offset, extent.blockOffset);
      const end = Math.min(offset + bytes, extent.blockOffset + extent.bytes);
      if (from >= end) continue;
      const pageAt = (place: number) => firstPageOf(extent) + (place - extent.blockOffset) / PAGE_BYTES;
      const run = { block: index, extent, firstPage: pageAt(from), endPage: pageAt(end) };
      if (isSentAgain) this.#mark(run);
      this.#add(run);
    }
  }

  /** The pages to send next; none of them may be marked. Null if the pass has ended. The queue keeps them until `sent`. */
  next(): PageRun | null {
    return this.#requests[0] ?? this.#walk;
  }

  /** Takes out what was sent of `run`, which `next` returned. */
  sent(run: PageRun, { normal, zero, nextPage }: SentRun): void {
    this.#dirtyPages -= normal + zero;
    const isFinished = nextPage >= run.endPage;
    if (run !== this.#walk) {
      if (isFinished) this.#requests.shift();
      else this.#requests[0] = { ...run, firstPage: nextPage };
    } else if (isFinished) {
      this.#walkAt(run.block, this.#extent + 1);
    } else {
      this.#walk = { ...run, firstPage: nextPage };
    }
  }

  /** Puts the walk at the extent, or, behind the last extent of the block, at the next block. */
  #walkAt(block: number, index: number): void {
    const isBehindBlock = index >= (this.#memory.blocks[block]?.extents.length ?? 0);
    const place = isBehindBlock ? { block: block + 1, index: 0 } : { block, index };
    const extent = this.#memory.blocks[place.block]?.extents[place.index];
    this.#extent = place.index;
    this.#walk = extent === undefined ? null : { block: place.block, extent, ...pagesOf(extent) };
  }

  /** A stretch that a waiting request contains is not added: its pages are sent once. */
  #add(run: PageRun): void {
    const isWaiting = this.#requests.some(
      ({ extent, firstPage, endPage }) => extent === run.extent && firstPage <= run.firstPage && run.endPage <= endPage,
    );
    if (isWaiting || this.#marksIn(run) === 0) return;
    if (this.#requests.length >= REQUESTS_MAX)
      throw new RangeError(`more than ${REQUESTS_MAX} requests for pages wait`);
    this.#requests.push(run);
  }

  #mark(run: PageRun): void {
    this.#dirtyPages += run.endPage - run.firstPage - this.#marksIn(run);
    this.#segment(run.extent).kernels.markAllDirty(run.firstPage, run.endPage);
  }

  /** How many pages of the run are marked. */
  #marksIn({ extent, firstPage, endPage }: PageRun): number {
    const memory = this.#memory.segments[extent.segment];
    if (memory === undefined) throw new RangeError(`segment ${extent.segment} does not exist`);
    const bitmap = new Uint8Array(memory.buffer, MIGRATION_BITMAP_ADDRESS, Math.ceil(endPage / 8));
    let marks = 0;
    for (let page = firstPage; page < endPage; page += 1) marks += ((bitmap[page >> 3] ?? 0) >> (page & 7)) & 1;
    return marks;
  }

  #segment(extent: RamExtent): SegmentKernels {
    const segment = this.#segments[extent.segment];
    if (segment === undefined) throw new RangeError(`segment ${extent.segment} does not exist`);
    return segment;
  }
}

function pagesOf(extent: RamExtent): Pick<PageRun, 'firstPage' | 'endPage'> {
  const firstPage = firstPageOf(extent);
  return { firstPage, endPage: firstPage + extent.bytes / PAGE_BYTES };
}

function isStretchOf(block: RamBlock, offset: number, bytes: number): boolean {
  const isWhole = offset % PAGE_BYTES === 0 && bytes % PAGE_BYTES === 0;
  return isWhole && offset >= 0 && bytes > 0 && offset + bytes <= block.bytes;
}
