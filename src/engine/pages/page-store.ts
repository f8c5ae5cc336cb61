import { firstPageOf, kernelsOf, type SegmentKernels } from '../memory/guest-memory.ts';
import { PAGE_BYTES } from '../memory/layout.ts';
import type { GuestMemory, RamBlock, RamExtent } from '../memory/machine-state.ts';
import { StreamError } from '../stream/bytes.ts';
import type { StreamInput } from './input-buffer.ts';

/**
 * The guest memory of a target: finds the place of a page, stores and counts pages. A kernel reaches only the segment
 * that it works in, so the input moves to the segment of the pages that it holds.
 */
export class PageStore {
  readonly #memory: GuestMemory;
  readonly #segments: readonly SegmentKernels[];
  readonly #input: StreamInput;
  /** The segment in which the input lies; -1 before there was one. */
  #inputSegment = -1;
  /** The place that was found last: most pages follow the page before them. */
  #last: { readonly block: RamBlock; readonly extent: RamExtent } | null = null;
  readonly #reached = new Map<RamBlock, number>();
  normalPages = 0;
  zeroPages = 0;
  /** For each block, the end of the highest page that `reach` was called for; the sum of these, in bytes. */
  reachedBytes = 0;

  constructor(memory: GuestMemory, input: StreamInput) {
    this.#memory = memory;
    this.#input = input;
    this.#segments = kernelsOf(memory, input.area);
    // Pages that a guest wrote here before count as written: a zero page of the stream has to clear them.
    for (const { kernels, words } of this.#segments) kernels.syncDirtyLog(words);
  }

  /** @throws StreamError if the stream's list has no block of this name. */
  blockNamed(name: string): RamBlock {
    const block = this.#memory.blocks.find((candidate) => candidate.name === name);
    if (block !== undefined) return block;
    throw new StreamError('ram_block_unknown', `the stream has pages of RAM block '${name}', which is not in its list`);
  }

  /** Where the page at `offset` of a block lies. @throws StreamError if it lies outside the block. */
  extentAt(block: RamBlock, offset: number): RamExtent {
    const last = this.#last;
    if (last !== null && last.block === block && contains(last.extent, offset)) return last.extent;
    const extent = block.extents.find((candidate) => contains(candidate, offset));
    if (extent === undefined) {
      throw new StreamError(
        'ram_page_outside',
        `a page at offset 0x${offset.toString(16)} lies outside RAM block '${block.name}' of ${block.bytes} bytes`,
      );
    }
    this.#last = { block, extent };
    return extent;
  }

  /** The kernels that reach the extent and the input, which moves to the extent's segment. */
  kernelsAt(extent: RamExtent): SegmentKernels {
    const segment = this.#segments[extent.segment];
    const memory = this.#memory.segments[extent.segment];
    if (segment === undefined || memory === undefined) throw new RangeError(`segment ${extent.segment} does not exist`);
    if (this.#inputSegment !== extent.segment) {
      this.#input.moveTo(memory);
      this.#inputSegment = extent.segment;
    }
    return segment;
  }

  /** Stores the page whose contents begin at byte `from` of the input. */
  storePage(extent: RamExtent, offset: number, from: number): void {
    const { kernels } = this.kernelsAt(extent);
    kernels.storePage(pageAt(extent, offset), this.#input.address + from);
    this.normalPages += 1;
  }

  /** Makes the page zero. */
  clearPage(extent: RamExtent, offset: number): void {
    this.kernelsAt(extent).kernels.clearPage(pageAt(extent, offset));
    this.zeroPages += 1;
  }

  /** Counts pages that a kernel stored. */
  count(pages: { readonly normal: number; readonly zero: number }): void {
    this.normalPages += pages.normal;
    this.zeroPages += pages.zero;
  }

  /** The page at `offset` has come. One call for a batch of pages is enough. */
  reach(block: RamBlock, offset: number): void {
    const before = this.#reached.get(block) ?? 0;
    const reached = offset + PAGE_BYTES;
    if (reached <= before) return;
    this.#reached.set(block, reached);
    this.reachedBytes += reached - before;
  }
}

function pageAt(extent: RamExtent, offset: number): number {
  return firstPageOf(extent) + (offset - extent.blockOffset) / PAGE_BYTES;
}

function contains(extent: RamExtent, offset: number): boolean {
  return offset >= extent.blockOffset && offset < extent.blockOffset + extent.bytes;
}
