import { DECODE_STOP } from '../../kernels/kernels.ts';
import { firstPageOf } from '../../memory/guest-memory.ts';
import { PAGE_BYTES } from '../../memory/layout.ts';
import type { RamBlock, RamExtent } from '../../memory/machine-state.ts';
import { ByteReader, IncompleteError, StreamError } from '../../stream/bytes.ts';
import { multifdDiffers } from '../../stream/configuration.ts';
import { RAM_FLAG, RAM_FLAGS_MASK } from '../../stream/constants.ts';
import type { StreamInput } from '../input-buffer.ts';
import type { EncoderParts, PageDecoder, PageEncoder, PageFormat, PageRun, SentRun } from '../page-format.ts';
import { PageSizeProbe, pageSizeDiffers, smallerPageBytes } from '../page-size.ts';
import type { PageStore } from '../page-store.ts';

/*
 * QEMU's records without compression.
 *
 *   u64 offset | PAGE | CONTINUE?, str8 block name unless CONTINUE, 4096 bytes
 *   u64 offset | ZERO | CONTINUE?, str8 block name unless CONTINUE, u8 0
 *
 * With CONTINUE the page is in the block of the record before it. Kernels write and read all records but those that
 * name a block, which a target reads one at a time.
 */

/** Longest record: word, block name, page. */
const RECORD_BYTES_MAX = 8 + 1 + 255 + PAGE_BYTES;
/** A zero page of the current block: word and fill byte. */
const ZERO_RECORD_BYTES = 9;
/** Pages for one call of the kernel, at most: some milliseconds of work. */
const PAGES_PER_CALL = 8192;

export const PLAIN_RECORDS: PageFormat = {
  isUsedWith: () => true,
  encoder: (parts) => new PlainEncoder(parts),
  decoder: (store, input) => new PlainDecoder(store, input),
};

class PlainEncoder implements PageEncoder {
  readonly #parts: EncoderParts;
  /** Index of the block that the newest record named or continued; -1 before the first record. */
  #named = -1;

  constructor(parts: EncoderParts) {
    this.#parts = parts;
  }

  async send(run: PageRun, bytesMax: number): Promise<SentRun> {
    const { segments, staging, detectZero } = this.#parts;
    const { extent } = run;
    const segment = segments[extent.segment];
    if (segment === undefined) throw new RangeError(`segment ${extent.segment} does not exist`);
    await staging.open(extent.segment, RECORD_BYTES_MAX);
    const room = Math.min(staging.room, Math.max(bytesMax, RECORD_BYTES_MAX));
    const at = staging.address;
    const nextPage = segment.kernels.encodePages(
      run.firstPage,
      run.endPage,
      BigInt(extent.blockOffset - firstPageOf(extent) * PAGE_BYTES),
      at,
      at + room,
      staging.area.scratch,
      this.#named === run.block ? 0 : this.#placeName(run),
      detectZero ? 1 : 0,
      PAGES_PER_CALL,
    );
    const { results } = segment;
    const bytes = results.get(0);
    staging.advance(bytes);
    if (bytes > 0) this.#named = run.block;
    return { bytes, normal: results.get(1), zero: results.get(2), nextPage };
  }

  /** Puts the name of the run's block where the kernel reads it. @returns its length in bytes. */
  #placeName({ block, extent }: PageRun): number {
    const { blocks, segments } = this.#parts.memory;
    const memory = segments[extent.segment];
    const name = blocks[block]?.name;
    if (memory === undefined || name === undefined) throw new RangeError(`RAM block ${block} does not exist`);
    const bytes = Buffer.from(name, 'utf8');
    new Uint8Array(memory.buffer).set(bytes, this.#parts.staging.area.scratch);
    return bytes.length;
  }
}

/** The record that waits in front of the input. */
type Record = { readonly kind: number; readonly offset: number };

class PlainDecoder implements PageDecoder {
  readonly #store: PageStore;
  readonly #input: StreamInput;
  readonly #pageSize = new PageSizeProbe();
  /** The block that the newest record named; null before the first record. */
  #block: RamBlock | null = null;
  #isAll = false;

  constructor(store: PageStore, input: StreamInput) {
    this.#store = store;
    this.#input = input;
  }

  noMore(): void {
    this.#isAll = true;
  }

  finish(): void {
    this.#pageSize.finish();
  }

  decode(): boolean {
    const word = this.#input.peekWord();
    if (word === null) return false;
    const flags = word.low & RAM_FLAGS_MASK;
    const kind = flags & ~RAM_FLAG.continue;
    if (kind !== RAM_FLAG.page && kind !== RAM_FLAG.zero) throw unknownRecord(flags);
    const record = { kind, offset: word.high * 2 ** 32 + (word.low - flags) };
    return (flags & RAM_FLAG.continue) === 0 ? this.#named(record) : this.#continued(record);
  }

  /** Records of the current block, as many as have come. */
  #continued({ kind, offset }: Record): boolean {
    if (this.#block === null) {
      throw new StreamError('ram_block_unknown', 'a page record continues a block, but none was named');
    }
    const extent = this.#store.extentAt(this.#block, offset);
    this.#store.reach(this.#block, offset);
    if (this.#pageSize.isSettled) return this.#batch(extent, this.#input.length);
    const zeros = this.#zeroRun();
    if (zeros > 0) return this.#batch(extent, zeros);
    if (!this.#isPageSizeSettled({ kind, body: 8, offset })) return false;
    return this.#batch(extent, this.#input.length);
  }

  /** Records of the current block, as many as there are in the first `bytes` of the input. */
  #batch(extent: RamExtent, bytes: number): boolean {
    const { kernels, results } = this.#store.kernelsAt(extent);
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
    this.#store.count({ normal: results.get(1), zero: results.get(2) });
    if (taken === 0 && results.get(0) === DECODE_STOP.other) {
      throw new StreamError('ram_record_broken', 'a zero page has a fill byte that is not 0');
    }
    return taken > 0 || results.get(0) !== DECODE_STOP.incomplete;
  }

  /** One record that names its block. */
  #named({ kind, offset }: Record): boolean {
    const input = this.#input;
    const store = this.#store;
    const reader = new ByteReader(input.view());
    try {
      reader.bytes(8);
      const block = store.blockNamed(reader.str8());
      const extent = store.extentAt(block, offset);
      const body = reader.position;
      if (!this.#isPageSizeSettled({ kind, body, offset })) return false;
      const fill = kind === RAM_FLAG.zero ? reader.u8() : reader.bytes(PAGE_BYTES).length;
      if (kind === RAM_FLAG.page) {
        store.storePage(extent, offset, body);
      } else if (fill === 0) {
        store.clearPage(extent, offset);
      } else {
        const message = `a zero page of RAM block '${block.name}' has fill byte ${fill}, not 0`;
        throw new StreamError('ram_record_broken', message);
      }
      this.#block = block;
      store.reach(block, offset);
      input.take(reader.position);
      return true;
    } catch (error) {
      if (error instanceof IncompleteError) return false;
      throw error;
    }
  }

  /** Looks at the record in front of the input. @returns false while bytes are missing that show the page size. */
  #isPageSizeSettled(record: Record & { readonly body: number }): boolean {
    if (this.#pageSize.isSettled) return true;
    this.#pageSize.note(record.offset % 2 ** 32);
    return record.kind !== RAM_FLAG.page || this.#pageSize.settle(this.#input.view(), record, this.#isAll);
  }

  /** Bytes of the whole zero-page records in front of the input; their offsets are noted. */
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
}

function unknownRecord(flags: number): StreamError {
  const smaller = smallerPageBytes(flags);
  if (smaller !== null) return pageSizeDiffers(smaller);
  const name = Object.entries(RAM_FLAG).find(([, value]) => value === (flags & ~RAM_FLAG.continue))?.[0];
  if (name?.startsWith('multifd')) return multifdDiffers('the ram section holds a mark of multifd');
  const what =
    name === undefined
      ? `unknown flags 0x${flags.toString(16)}`
      : `a record of kind ${name}, whose capability is off here`;
  return new StreamError('ram_record_broken', `the ram section holds ${what}`);
}
