import { firstPageOf, kernelsOf, type SegmentKernels } from '../memory/guest-memory.ts';
import { KERNEL_SCRATCH_ADDRESS, PAGE_BYTES } from '../memory/layout.ts';
import type { GuestMemory, RamExtent } from '../memory/machine-state.ts';
import type { Staging } from './staging.ts';

/** Longest record: word, block name, page. */
const RECORD_BYTES_MAX = 8 + 1 + 255 + PAGE_BYTES;
/** Pages that one kernel call looks at, at most: some milliseconds of work. */
const PAGES_PER_CALL = 8192;

/** What went out in a stretch of sending. */
export type SentPages = { readonly bytes: number; readonly normal: number; readonly zero: number };

/**
 * Walks over guest RAM and turns dirty pages into records. A pass is one walk from the first block to the last.
 * The bitmaps belong to this object while the migration runs (see memory/layout.ts).
 */
export class RamSender {
  readonly #memory: GuestMemory;
  readonly #staging: Staging;
  readonly #segments: readonly SegmentKernels[];
  readonly #detectZero: boolean;
  #block = 0;
  #extent = 0;
  #page = 0;
  /** The block that the newest record named; CONTINUE refers to it. */
  #named = -1;
  #dirtyPages = 0;

  constructor(options: { memory: GuestMemory; staging: Staging; detectZero: boolean }) {
    this.#memory = options.memory;
    this.#staging = options.staging;
    this.#detectZero = options.detectZero;
    this.#segments = kernelsOf(options.memory);
    this.rewind();
  }

  /** Bytes of pages that are still to be sent. */
  get remainingBytes(): number {
    return this.#dirtyPages * PAGE_BYTES;
  }

  /** True when the walk has come to the end of the last block. */
  get isWalked(): boolean {
    return this.#block >= this.#memory.blocks.length;
  }

  /** The page at which the walk stands: index of its block and offset there. Null when it has come to the end. */
  get next(): { readonly block: number; readonly offset: number } | null {
    const extent = this.#memory.blocks[this.#block]?.extents[this.#extent];
    if (extent === undefined) return null;
    return { block: this.#block, offset: extent.blockOffset + (this.#page - firstPageOf(extent)) * PAGE_BYTES };
  }

  /** Begins: the dirty log is emptied and every page is to be sent. */
  markAll(): void {
    for (const { kernels, words } of this.#segments) {
      kernels.syncDirtyLog(words);
      kernels.clearMigrationBitmap(words);
    }
    this.#dirtyPages = 0;
    for (const extent of this.#memory.blocks.flatMap((block) => block.extents)) {
      const first = firstPageOf(extent);
      const pages = extent.bytes / PAGE_BYTES;
      this.#kernelsAt(extent).kernels.markAllDirty(first, first + pages);
      this.#dirtyPages += pages;
    }
  }

  /** Takes the dirty log. @returns pages that are newly to be sent. */
  sync(): number {
    let found = 0;
    for (const { kernels, words } of this.#segments) found += kernels.syncDirtyLog(words);
    this.#dirtyPages += found;
    return found;
  }

  /** Goes back to the first block for the next pass. */
  rewind(): void {
    this.#block = 0;
    this.#extent = 0;
    this.#page = this.#memory.blocks[0]?.extents[0] === undefined ? 0 : firstPageOf(this.#memory.blocks[0].extents[0]);
  }

  /** Sends records into the open section, about `bytesMax` at most but at least one where there is one. */
  async send(bytesMax: number): Promise<SentPages> {
    const block = this.#memory.blocks[this.#block];
    const extent = block?.extents[this.#extent];
    if (block === undefined || extent === undefined) return { bytes: 0, normal: 0, zero: 0 };
    await this.#staging.open(extent.segment, RECORD_BYTES_MAX);
    const { kernels, results } = this.#kernelsAt(extent);
    const room = Math.min(this.#staging.room, Math.max(bytesMax, RECORD_BYTES_MAX));
    const at = this.#staging.address;
    const end = firstPageOf(extent) + extent.bytes / PAGE_BYTES;
    const nameLength = this.#named === this.#block ? 0 : this.#placeName(extent.segment, block.name);
    const blockDelta = BigInt(extent.blockOffset - firstPageOf(extent) * PAGE_BYTES);
    this.#page = kernels.encodePages(
      this.#page,
      end,
      blockDelta,
      at,
      at + room,
      KERNEL_SCRATCH_ADDRESS,
      nameLength,
      this.#detectZero ? 1 : 0,
      PAGES_PER_CALL,
    );
    const sent = { bytes: results.get(0), normal: results.get(1), zero: results.get(2) };
    this.#staging.advance(sent.bytes);
    this.#dirtyPages -= sent.normal + sent.zero;
    if (sent.bytes > 0) this.#named = this.#block;
    if (this.#page >= end) this.#nextExtent();
    return sent;
  }

  #nextExtent(): void {
    this.#extent += 1;
    if (this.#extent === this.#memory.blocks[this.#block]?.extents.length) {
      this.#extent = 0;
      this.#block += 1;
    }
    const extent = this.#memory.blocks[this.#block]?.extents[this.#extent];
    if (extent !== undefined) this.#page = firstPageOf(extent);
  }

  #placeName(segment: number, name: string): number {
    const memory = this.#memory.segments[segment];
    if (memory === undefined) throw new RangeError(`segment ${segment} does not exist`);
    const bytes = Buffer.from(name, 'utf8');
    new Uint8Array(memory.buffer).set(bytes, KERNEL_SCRATCH_ADDRESS);
    return bytes.length;
  }

  #kernelsAt(extent: RamExtent): SegmentKernels {
    const segment = this.#segments[extent.segment];
    if (segment === undefined) throw new RangeError(`segment ${extent.segment} does not exist`);
    return segment;
  }
}
