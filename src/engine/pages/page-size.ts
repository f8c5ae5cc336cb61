import { StreamError } from '../stream/bytes.ts';
import { ELEMENT, RAM_FLAG, RAM_FLAGS_MASK } from '../stream/constants.ts';

/*
 * Streams of machines whose pages are not 4 KiB (AVR 256 bytes, Raspberry Pi 1 KiB, SPARC64, Alpha and OpenRISC 8 KiB,
 * TriCore 16 KiB). Only some name the size, in the configuration. Elsewhere it shows in three places:
 *
 * - Smaller pages: address bits stand among the low 12 bits of a record's word, which hold only flags here.
 * - Any other size: the first page record with contents ends elsewhere, so no record follows 4096 bytes of contents.
 * - Larger pages without contents: every offset is a multiple of a larger size; and the vmdescription has `page_size`.
 */

/** The only size that is read. */
export const STREAM_PAGE_BYTES = 4096;
const SMALLER = [2048, 1024, 512, 256];
const LARGER = [8192, 16384, 32768, 65536];
/** A record's word and the byte behind it. */
const WORD_BYTES = 8;
const LOOK_BYTES = WORD_BYTES + 1;

export function pageSizeDiffers(bytes: number): StreamError {
  return new StreamError(
    'page_size_differs',
    `the stream has pages of ${bytes} bytes; pages of ${STREAM_PAGE_BYTES} bytes are read`,
  );
}

/** The page size of a machine with smaller pages, from a word's low 12 bits; null if they do not tell one. */
export function smallerPageBytes(flags: number): number | null {
  return SMALLER.find((bytes) => flags >= bytes && isPageFlags(flags & (bytes - 1))) ?? null;
}

/** What the records of a ram section tell of the page size, until a page with contents has settled it. */
export class PageSizeProbe {
  /** True once records are known to hold pages of 4096 bytes. */
  isSettled = false;
  /** All offsets of records, or-ed; 0 before any but 0 has come. */
  #offsets = 0;

  /** Notes the record of a page at `offset`, the low 32 bits of it. */
  note(offset: number): void {
    this.#offsets |= offset;
  }

  /**
   * Looks behind the first page with contents, which begins at `body` of `view`; its record's word has `offset`.
   * @returns false while bytes are missing that decide. With `isAll` none will come.
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
    // Pages may come in any order: what only looks like a record does not wait for more bytes.
    const isRecord = isThere(STREAM_PAGE_BYTES) && isAnyRecord(look, page.body + STREAM_PAGE_BYTES);
    if (!isRecord && !isThere(LARGER.at(-1) ?? 0) && !isAll) return false;
    // No other size explains what follows; if the record is wrong, reading it says why.
    this.isSettled = true;
    return true;
  }

  /** At the end of RAM. @throws StreamError if no page had contents and all offsets suit only larger pages. */
  finish(): void {
    if (this.isSettled || this.#offsets === 0) return;
    const bytes = (this.#offsets & -this.#offsets) >>> 0;
    if (bytes > STREAM_PAGE_BYTES) throw pageSizeDiffers(Math.min(bytes, LARGER.at(-1) ?? bytes));
  }
}

/** True if these flags are those of a page or of a zero page. */
function isPageFlags(flags: number): boolean {
  const kind = flags & ~RAM_FLAG.continue;
  return kind === RAM_FLAG.page || kind === RAM_FLAG.zero;
}

/** True if what stands there begins with flags that a record may have. */
function isAnyRecord(look: DataView, at: number): boolean {
  const flags = look.getUint32(at + 4) & RAM_FLAGS_MASK;
  if (flags === RAM_FLAG.eos) return look.getUint8(at + WORD_BYTES) === ELEMENT.footer;
  const kind = flags & ~RAM_FLAG.continue;
  return Object.values(RAM_FLAG).some((known) => known === kind);
}

/** True if, with pages of `bytes`, the record behind the page at `offset` stands there: pages come in order at first. */
function isNextRecord(look: DataView, at: number, offset: number, bytes: number): boolean {
  const word = look.getUint32(at) * 2 ** 32 + look.getUint32(at + 4);
  const flags = word % bytes;
  if (flags === RAM_FLAG.eos) return word === flags && look.getUint8(at + WORD_BYTES) === ELEMENT.footer;
  if (!isPageFlags(flags)) return false;
  if ((flags & RAM_FLAG.continue) === 0) return word === flags && isName(look, at + WORD_BYTES);
  return word - flags === offset + bytes;
}

/** True if a block's name stands there, as far as its bytes have come. */
function isName(look: DataView, at: number): boolean {
  const length = look.getUint8(at);
  const end = Math.min(at + 1 + length, look.byteLength);
  for (let place = at + 1; place < end; place++) {
    const byte = look.getUint8(place);
    if (byte <= 0x20 || byte >= 0x7f) return false;
  }
  return length > 0;
}
