import { StreamError } from '../stream/bytes.ts';
import { ELEMENT, RAM_FLAG, RAM_FLAGS_MASK } from '../stream/constants.ts';

/*
 * Recognises streams of machines with other pages than 4 KiB (AVR 256 bytes, Raspberry Pi 1 KiB, SPARC64, Alpha and OpenRISC
 * 8 KiB, TriCore 16 KiB). Only some configurations name the size. Other signs of it:
 *
 * - Smaller pages: the low 12 bits of a record's word contain address bits, not only flags.
 * - Any other size: no record follows 4096 bytes of contents of the first page.
 * - Larger pages, all zero: every offset is a multiple of a larger size, and the vmdescription has `page_size`.
 */

/** The only supported page size, in bytes. */
export const STREAM_PAGE_BYTES = 4096;
const SMALLER = [2048, 1024, 512, 256];
const LARGER = [8192, 16384, 32768, 65536];
/** Size of a record's word, in bytes; `LOOK_BYTES` has the byte behind it too. */
const WORD_BYTES = 8;
const LOOK_BYTES = WORD_BYTES + 1;

export function pageSizeDiffers(bytes: number): StreamError {
  return new StreamError(
    'page_size_differs',
    `the stream has pages of ${bytes} bytes; pages of ${STREAM_PAGE_BYTES} bytes are read`,
  );
}

/** The page size of a machine with smaller pages, from the low 12 bits of a word; null if they show none. */
export function smallerPageBytes(flags: number): number | null {
  return SMALLER.find((bytes) => flags >= bytes && isPageFlags(flags & (bytes - 1))) ?? null;
}

/** Collects the signs of the page size in the records of RAM, until the first page with contents decides. */
export class PageSizeProbe {
  /** True when the pages are known to have 4096 bytes. */
  isSettled = false;
  /** Bitwise OR of the offsets of all records. */
  #offsets = 0;

  /** Notes a record. @param offset the low 32 bits of its offset. */
  note(offset: number): void {
    this.#offsets |= offset;
  }

  /**
   * Examines the bytes behind the first page with contents, which begins at `body` in `view`.
   * @param isAll no more bytes will come.
   * @returns false while more bytes are needed to decide.
   * @throws StreamError if the page has another size.
   */
  settle(view: Uint8Array, page: { readonly body: number; readonly offset: number }, isAll: boolean): boolean {
    const look = new DataView(view.buffer, view.byteOffset, view.byteLength);
    const isThere = (bytes: number) => page.body + bytes + LOOK_BYTES <= view.byteLength;
    const isNext = (bytes: number) => isThere(bytes) && isNextRecord(look, page.body + bytes, page.offset, bytes);
    if (isNext(STREAM_PAGE_BYTES)) {
      this.isSettled = true;
      return true;
    }
    if (!isThere(STREAM_PAGE_BYTES) && !isAll) return false;
    const other = [...SMALLER, ...LARGER].find(isNext);
    if (other !== undefined) throw pageSizeDiffers(other);
    // Pages may come in any order, so any valid flags at this place are taken for a record.
    const isRecord = isThere(STREAM_PAGE_BYTES) && isAnyRecord(look, page.body + STREAM_PAGE_BYTES);
    if (!isRecord && !isThere(LARGER.at(-1) ?? 0) && !isAll) return false;
    // No other size fits. If the record is wrong, its reader refuses it.
    this.isSettled = true;
    return true;
  }

  /** RAM is complete. @throws StreamError if no page had contents and all offsets are multiples of a larger size. */
  finish(): void {
    if (this.isSettled || this.#offsets === 0) return;
    const bytes = (this.#offsets & -this.#offsets) >>> 0;
    if (bytes > STREAM_PAGE_BYTES) throw pageSizeDiffers(Math.min(bytes, LARGER.at(-1) ?? bytes));
  }
}

/** True for the flags of a page or of a zero page. */
function isPageFlags(flags: number): boolean {
  const kind = flags & ~RAM_FLAG.continue;
  return kind === RAM_FLAG.page || kind === RAM_FLAG.zero;
}

/** True if the word at `at` has flags of a record. */
function isAnyRecord(look: DataView, at: number): boolean {
  const flags = look.getUint32(at + 4) & RAM_FLAGS_MASK;
  if (flags === RAM_FLAG.eos) return look.getUint8(at + WORD_BYTES) === ELEMENT.footer;
  const kind = flags & ~RAM_FLAG.continue;
  return Object.values(RAM_FLAG).some((known) => known === kind);
}

/** True if the record at `at` follows a page at `offset` of size `bytes`: the first pages of a stream come in order. */
function isNextRecord(look: DataView, at: number, offset: number, bytes: number): boolean {
  const word = look.getUint32(at) * 2 ** 32 + look.getUint32(at + 4);
  const flags = word % bytes;
  if (flags === RAM_FLAG.eos) return word === flags && look.getUint8(at + WORD_BYTES) === ELEMENT.footer;
  if (!isPageFlags(flags)) return false;
  if ((flags & RAM_FLAG.continue) === 0) return word === flags && isName(look, at + WORD_BYTES);
  return word - flags === offset + bytes;
}

/** True if the bytes at `at` are the name of a block, as far as they have come. */
function isName(look: DataView, at: number): boolean {
  const length = look.getUint8(at);
  const end = Math.min(at + 1 + length, look.byteLength);
  for (let place = at + 1; place < end; place++) {
    const byte = look.getUint8(place);
    if (byte <= 0x20 || byte >= 0x7f) return false;
  }
  return length > 0;
}
