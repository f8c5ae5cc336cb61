import type { GuestMemory, RamBlock, RamExtent } from '../../domain/ports.ts';
import { DECODE_STOP } from '../kernels/migration-kernels.ts';
import { firstPageOf, kernelsOf, type SegmentKernels } from '../memory/extent-kernels.ts';
import { PAGE_BYTES } from '../memory/layout.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/byte-reader.ts';
import { RAM_FLAG, RAM_FLAGS_MASK } from '../stream/constants.ts';
import type { StreamInput } from './input-buffer.ts';

/** Applies the records of ram sections to guest memory. */
export class RamReceiver {
  readonly #memory: GuestMemory;
  readonly #segments: readonly SegmentKernels[];
  readonly #input: StreamInput;
  #block: RamBlock | null = null;
  #extent: RamExtent | null = null;
  #segment = -1;
  normalPages = 0;
  zeroPages = 0;

  constructor(memory: GuestMemory, input: StreamInput) {
    this.#memory = memory;
    this.#input = input;
    this.#segments = kernelsOf(memory);
    // What a guest wrote here before counts as written: a zero page of the stream has to clear it.
    for (const { kernels, words } of this.#segments) kernels.syncDirtyLog(words);
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
    return this.#batch(extent);
  }

  /** Records of the current block, as many as there are. */
  #batch(extent: RamExtent): boolean {
    const { kernels, results } = this.#kernelsAt(extent);
    const input = this.#input;
    const low = BigInt(extent.blockOffset);
    const taken = kernels.decodePages(
      input.address,
      input.address + input.length,
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
    return results.get(0) !== DECODE_STOP.incomplete;
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
      const fill = kind === RAM_FLAG.zero ? reader.u8() : reader.bytes(PAGE_BYTES).length;
      if (kind === RAM_FLAG.zero && fill !== 0) {
        throw new StreamError('ram_record_broken', `a zero page of RAM block '${name}' has fill byte ${fill}, not 0`);
      }
      this.#apply(kind, extent, { offset, body });
      this.#block = block;
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
    const name = Object.entries(RAM_FLAG).find(([, value]) => value === (flags & ~RAM_FLAG.continue))?.[0];
    const what =
      name === undefined ? `unknown flags 0x${flags.toString(16)}` : `a record of kind ${name}, which is not on here`;
    return new StreamError('ram_record_broken', `the ram section holds ${what}`);
  }
}

function contains(extent: RamExtent, offset: number): boolean {
  return offset >= extent.blockOffset && offset < extent.blockOffset + extent.bytes;
}
