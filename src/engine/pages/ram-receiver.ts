import { DECODE_STOP } from '../kernels/kernels.ts';
import { firstPageOf, kernelsOf, type SegmentKernels } from '../memory/guest-memory.ts';
import { PAGE_BYTES } from '../memory/layout.ts';
import type { GuestMemory, RamBlock, RamExtent } from '../memory/machine-state.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/bytes.ts';
import { multifdDiffers } from '../stream/configuration.ts';
import { RAM_FLAG, RAM_FLAGS_MASK } from '../stream/constants.ts';
import type { StreamInput } from './input-buffer.ts';
import { PageSizeProbe, pageSizeDiffers, smallerPageBytes } from './page-size.ts';

/** A zero page of the current block: word and fill byte. */
const ZERO_RECORD_BYTES = 9;

/** Applies the records of ram sections to guest memory. */
export class RamReceiver {
  readonly #memory: GuestMemory;
  readonly #segments: readonly SegmentKernels[];
  readonly #input: StreamInput;
  #block: RamBlock | null = null;
  #extent: RamExtent | null = null;
  #segment = -1;
  readonly #pageSize = new PageSizeProbe();
  #isAll = false;
  normalPages = 0;
  zeroPages = 0;
  /** Sum over the blocks of how far their pages have reached, looked at once a batch. */
  reachedBytes = 0;
  readonly #reached = new Map<RamBlock, number>();

  constructor(memory: GuestMemory, input: StreamInput) {
    this.#memory = memory;
    this.#input = input;
    this.#segments = kernelsOf(memory);
    // What a guest wrote here before counts as written: a zero page of the stream has to clear it.
    for (const { kernels, words } of this.#segments) kernels.syncDirtyLog(words);
  }

  /** Nothing more will come: what is there has to decide. */
  noMore(): void {
    this.#isAll = true;
  }

  /** RAM is complete. @throws StreamError if its pages can only have been larger ones. */
  finish(): void {
    this.#pageSize.finish();
  }

  /** Applies what is there of a section's body. @returns true when the body has ended; false: more is needed. */
  receive(): boolean {
    for (;;) {
      const word = this.#input.peekWord();
      if (word === null) return false;
      const flags = word.low & RAM_FLAGS_MASK;
      if (flags === RAM_FLAG.eos) {
        this.#input.take(8);
        return true;
      }
      if (!this.#record(flags, word.high * 2 ** 32 + (word.low - flags))) return false;
    }
  }

  #record(flags: number, offset: number): boolean {
    const kind = flags & ~RAM_FLAG.continue;
    if (kind !== RAM_FLAG.page && kind !== RAM_FLAG.zero) throw this.#unknownRecord(flags);
    if ((flags & RAM_FLAG.continue) === 0) return this.#namedRecord(kind, offset);
    if (this.#block === null) {
      throw new StreamError('ram_block_unknown', 'a page record continues a block, but none was named');
    }
    const extent = this.#extentAt(this.#block, offset);
    this.#reach(this.#block, offset);
    if (this.#pageSize.isSettled) return this.#batch(extent, this.#input.length);
    const zeros = this.#zeroRun();
    if (zeros > 0) return this.#batch(extent, zeros);
    if (!this.#isPageSizeSettled({ kind, body: 8, offset })) return false;
    return this.#batch(extent, this.#input.length);
  }

  /** Looks at a record that waits in front. @returns false while bytes are missing that tell the size of its page. */
  #isPageSizeSettled(record: { readonly kind: number; readonly body: number; readonly offset: number }): boolean {
    if (this.#pageSize.isSettled) return true;
    this.#pageSize.note(record.offset % 2 ** 32);
    return record.kind !== RAM_FLAG.page || this.#pageSize.settle(this.#input.view(), record, this.#isAll);
  }

  /** Bytes of the whole zero-page records that wait in front; their offsets are noted. */
  #zeroRun(): number {
    const view = this.#input.view();
    const words = new DataView(view.buffer, view.byteOffset, view.byteLength);
    let at = 0;
    while (at + ZERO_RECORD_BYTES <= view.byteLength) {
      const low = words.getUint32(at + 4);
      if ((low & RAM_FLAGS_MASK) !== (RAM_FLAG.zero | RAM_FLAG.continue)) break;
      this.#pageSize.note(low & ~RAM_FLAGS_MASK);
      at += ZERO_RECORD_BYTES;
    }
    return at;
  }

  #reach(block: RamBlock, offset: number): void {
    const before = this.#reached.get(block) ?? 0;
    const reached = offset + PAGE_BYTES;
    if (reached <= before) return;
    this.#reached.set(block, reached);
    this.reachedBytes += reached - before;
  }

  /** Records of the current block, as many as there are in the first `bytes` that wait. */
  #batch(extent: RamExtent, bytes: number): boolean {
    const { kernels, results } = this.#kernelsAt(extent);
    const input = this.#input;
    const low = BigInt(extent.blockOffset);
    const taken = kernels.decodePages(
      input.address,
      input.address + Math.min(bytes, input.length),
      low,
      low + BigInt(extent.bytes),
      firstPageOf(extent),
    );
    input.take(taken);
    this.normalPages += results.get(1);
    this.zeroPages += results.get(2);
    if (taken === 0 && results.get(0) === DECODE_STOP.other) {
      throw new StreamError('ram_record_broken', 'a zero page has a fill byte that is not 0');
    }
    return taken > 0 || results.get(0) !== DECODE_STOP.incomplete;
  }

  /** A record that names its block, alone. */
  #namedRecord(kind: number, offset: number): boolean {
    const input = this.#input;
    const reader = new ByteReader(input.view());
    try {
      reader.bytes(8);
      const name = reader.str8();
      const block = this.#memory.blocks.find((candidate) => candidate.name === name);
      if (block === undefined)
        throw new StreamError(
          'ram_block_unknown',
          `the stream has pages of RAM block '${name}', which is not in its list`,
        );
      const extent = this.#extentAt(block, offset);
      const body = reader.position;
      if (!this.#isPageSizeSettled({ kind, body, offset })) return false;
      const fill = kind === RAM_FLAG.zero ? reader.u8() : reader.bytes(PAGE_BYTES).length;
      if (kind === RAM_FLAG.zero && fill !== 0) {
        throw new StreamError('ram_record_broken', `a zero page of RAM block '${name}' has fill byte ${fill}, not 0`);
      }
      this.#apply(kind, extent, { offset, body });
      this.#block = block;
      this.#reach(block, offset);
      input.take(reader.position);
      return true;
    } catch (error) {
      if (error instanceof IncompleteError) return false;
      throw error;
    }
  }

  #apply(kind: number, extent: RamExtent, record: { readonly offset: number; readonly body: number }): void {
    const { kernels } = this.#kernelsAt(extent);
    const page = firstPageOf(extent) + (record.offset - extent.blockOffset) / PAGE_BYTES;
    if (kind === RAM_FLAG.zero) {
      kernels.clearPage(page);
      this.zeroPages += 1;
    } else {
      kernels.storePage(page, this.#input.address + record.body);
      this.normalPages += 1;
    }
  }

  #extentAt(block: RamBlock, offset: number): RamExtent {
    const current = this.#extent;
    if (block === this.#block && current !== null && contains(current, offset)) return current;
    const extent = block.extents.find((candidate) => contains(candidate, offset));
    if (extent === undefined) {
      throw new StreamError(
        'ram_page_outside',
        `a page at offset 0x${offset.toString(16)} lies outside RAM block '${block.name}' of ${block.bytes} bytes`,
      );
    }
    this.#extent = extent;
    return extent;
  }

  /** The kernels of the extent's segment; the input is moved to where they reach it. */
  #kernelsAt(extent: RamExtent): SegmentKernels {
    const segment = this.#segments[extent.segment];
    const memory = this.#memory.segments[extent.segment];
    if (segment === undefined || memory === undefined) throw new RangeError(`segment ${extent.segment} does not exist`);
    if (this.#segment !== extent.segment) {
      this.#input.moveTo(memory);
      this.#segment = extent.segment;
    }
    return segment;
  }

  #unknownRecord(flags: number): StreamError {
    const smaller = smallerPageBytes(flags);
    if (smaller !== null) return pageSizeDiffers(smaller);
    const name = Object.entries(RAM_FLAG).find(([, value]) => value === (flags & ~RAM_FLAG.continue))?.[0];
    if (name?.startsWith('multifd')) return multifdDiffers('the ram section holds a mark of multifd');
    const what =
      name === undefined ? `unknown flags 0x${flags.toString(16)}` : `a record of kind ${name}, which is not on here`;
    return new StreamError('ram_record_broken', `the ram section holds ${what}`);
  }
}

function contains(extent: RamExtent, offset: number): boolean {
  return offset >= extent.blockOffset && offset < extent.blockOffset + extent.bytes;
}
