import { firstPageOf } from '../../../src/engine/memory/guest-memory.ts';
import { MIGRATION_BITMAP_ADDRESS, PAGE_BYTES, RAM_ADDRESS } from '../../../src/engine/memory/layout.ts';
import type { StreamInput } from '../../../src/engine/pages/input-buffer.ts';
import type {
  EncoderParts,
  PageDecoder,
  PageEncoder,
  PageFormat,
  PageRun,
  SentRun,
} from '../../../src/engine/pages/page-format.ts';
import type { PageStore } from '../../../src/engine/pages/page-store.ts';
import { StreamError } from '../../../src/engine/stream/bytes.ts';

/*
 * A page format for tests, as different from QEMU's as the interface allows: several pages in one record, blocks by their
 * index, no zero pages, and every byte inverted.
 *
 *   u32 index of the block, u32 tag, u64 offset, u32 pages, then the pages
 */
const TAG = 0x504b5431;
const HEAD_BYTES = 20;
const PAGES_MAX = 7;

/** The names of the blocks stand for the list that both ends of a migration have. */
export function packetFormat(blockNames: readonly string[]): PageFormat {
  return {
    isUsedWith: (capabilities) => capabilities.includes('x-packets'),
    encoder: (parts) => new PacketEncoder(parts),
    decoder: (store, input) => new PacketDecoder(store, input, blockNames),
  };
}

class PacketEncoder implements PageEncoder {
  readonly #parts: EncoderParts;

  constructor(parts: EncoderParts) {
    this.#parts = parts;
  }

  async send(run: PageRun, bytesMax: number): Promise<SentRun> {
    const { memory, staging } = this.#parts;
    await staging.open(run.extent.segment, HEAD_BYTES + PAGE_BYTES);
    const bytes = new Uint8Array(memory.segments[run.extent.segment]?.buffer ?? new ArrayBuffer());
    const isMarked = (page: number) => ((bytes[MIGRATION_BITMAP_ADDRESS + (page >> 3)] ?? 0) & (1 << (page & 7))) !== 0;
    let first = run.firstPage;
    while (first < run.endPage && !isMarked(first)) first += 1;
    const room = Math.min(staging.room, Math.max(bytesMax, HEAD_BYTES + PAGE_BYTES));
    let end = first;
    while (
      end < run.endPage &&
      isMarked(end) &&
      end - first < PAGES_MAX &&
      HEAD_BYTES + (end + 1 - first) * PAGE_BYTES <= room
    ) {
      end += 1;
    }
    if (end === first) return { bytes: 0, normal: 0, zero: 0, nextPage: run.endPage };
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32BE(run.block, 0);
    head.writeUInt32BE(TAG, 4);
    head.writeBigUInt64BE(BigInt(run.extent.blockOffset + (first - firstPageOf(run.extent)) * PAGE_BYTES), 8);
    head.writeUInt32BE(end - first, 16);
    bytes.set(head, staging.address);
    for (let page = first; page < end; page += 1) bytes[MIGRATION_BITMAP_ADDRESS + (page >> 3)]! &= ~(1 << (page & 7));
    const pages = bytes.subarray(RAM_ADDRESS + first * PAGE_BYTES, RAM_ADDRESS + end * PAGE_BYTES);
    bytes.set(inverted(pages), staging.address + HEAD_BYTES);
    staging.advance(HEAD_BYTES + pages.length);
    return { bytes: HEAD_BYTES + pages.length, normal: end - first, zero: 0, nextPage: end };
  }
}

class PacketDecoder implements PageDecoder {
  readonly #store: PageStore;
  readonly #input: StreamInput;
  readonly #names: readonly string[];

  constructor(store: PageStore, input: StreamInput, names: readonly string[]) {
    this.#store = store;
    this.#input = input;
    this.#names = names;
  }

  decode(): boolean {
    const view = this.#input.view();
    if (view.length < HEAD_BYTES) return false;
    const head = Buffer.from(view.subarray(0, HEAD_BYTES));
    if (head.readUInt32BE(4) !== TAG) throw new StreamError('ram_record_broken', 'a packet has no tag');
    const pages = head.readUInt32BE(16);
    const bytes = pages * PAGE_BYTES;
    if (view.length < HEAD_BYTES + bytes) return false;
    view.set(inverted(view.subarray(HEAD_BYTES, HEAD_BYTES + bytes)), HEAD_BYTES);
    const block = this.#store.blockNamed(this.#names[head.readUInt32BE(0)] ?? '?');
    for (let page = 0; page < pages; page += 1) {
      const offset = Number(head.readBigUInt64BE(8)) + page * PAGE_BYTES;
      this.#store.storePage(this.#store.extentAt(block, offset), offset, HEAD_BYTES + page * PAGE_BYTES);
      this.#store.reach(block, offset);
    }
    this.#input.take(HEAD_BYTES + bytes);
    return true;
  }

  noMore(): void {}

  finish(): void {}
}

function inverted(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes, (byte) => byte ^ 0xff);
}
