import { ENGINE_RESULT, MIGRATION_BITMAP, PAGE_BYTES, RAM, WRITTEN_BITMAP } from './layout';
import { isZeroPage } from './zero-page';

const FLAG_ZERO: u64 = 0x02;
const FLAG_PAGE: u64 = 0x08;
const FLAG_CONTINUE: u64 = 0x20;

/**
 * Encodes dirty pages as records `u64 address|flags, [page]` and clears their bits in the migration bitmap.
 *
 * Pages are counted from the start of the segment's RAM. `blockDelta` is added to the byte offset of a page in the segment to get
 * its offset in its RAM block. If `nameLength` > 0, the first record contains the name of the block.
 * Stops at `endPage`, when the next record might not fit below `outEnd`, or after `pagesMax` pages.
 *
 * Results (u32 each): bytes written, page records, zero records.
 * Returns the next page.
 */
export function encodePages(
  firstPage: u32,
  endPage: u32,
  blockDelta: i64,
  out: usize,
  outEnd: usize,
  name: usize,
  nameLength: u32,
  detectZero: bool,
  pagesMax: u32,
): u32 {
  let page = firstPage;
  let at = out;
  let normal: u32 = 0;
  let zero: u32 = 0;
  const recordMax: usize = 8 + 1 + 255 + PAGE_BYTES;
  while (page < endPage && zero + normal < pagesMax) {
    const word = MIGRATION_BITMAP + ((<usize>page >> 6) << 3);
    const ahead = load<u64>(word) >> (<u64>page & 63);
    if (ahead == 0) {
      page = (page | 63) + 1;
      continue;
    }
    page += <u32>ctz(ahead);
    if (page >= endPage || at + recordMax > outEnd) break;

    const bit: u64 = (<u64>1) << (<u64>page & 63);
    store<u64>(word, load<u64>(word) & ~bit);
    const source = RAM + <usize>page * PAGE_BYTES;
    const written = (load<u64>(WRITTEN_BITMAP + ((<usize>page >> 6) << 3)) & bit) != 0;
    const address = <u64>(<i64>page * <i64>PAGE_BYTES + blockDelta);
    const isZero = detectZero && (!written || isZeroPage(source));
    const flags = (isZero ? FLAG_ZERO : FLAG_PAGE) | (nameLength > 0 ? 0 : FLAG_CONTINUE);
    store<u64>(at, bswap<u64>(address | flags));
    at += 8;
    if (nameLength > 0) {
      store<u8>(at, <u8>nameLength);
      memory.copy(at + 1, name, nameLength);
      at += 1 + nameLength;
      nameLength = 0;
    }
    if (isZero) {
      store<u8>(at, 0);
      at += 1;
      zero++;
    } else {
      memory.copy(at, source, PAGE_BYTES);
      at += PAGE_BYTES;
      normal++;
    }
    page++;
  }
  store<u32>(ENGINE_RESULT, <u32>(at - out));
  store<u32>(ENGINE_RESULT, normal, 4);
  store<u32>(ENGINE_RESULT, zero, 8);
  return min(page, endPage);
}
