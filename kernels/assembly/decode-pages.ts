import { ENGINE_RESULT, PAGE_BYTES, RAM, WRITTEN_BITMAP } from './layout';
import { isZeroPage } from './zero-page';

const ZERO_CONTINUE: u64 = 0x22;
const PAGE_CONTINUE: u64 = 0x28;

/** Reasons for which decodePages stops. */
export const STOP_INCOMPLETE: u32 = 0;
export const STOP_OTHER: u32 = 1;
export const STOP_OUTSIDE: u32 = 2;

// @ts-ignore: decorator
@inline
function markWritten(page: usize): void {
  const word = WRITTEN_BITMAP + ((page >> 6) << 3);
  store<u64>(word, load<u64>(word) | ((<u64>1) << (<u64>page & 63)));
}

// @ts-ignore: decorator
@inline
function isWritten(page: usize): bool {
  return (load<u64>(WRITTEN_BITMAP + ((page >> 6) << 3)) & ((<u64>1) << (<u64>page & 63))) != 0;
}

/** Copies one page into the segment's RAM. `page` counts from the start of the segment's RAM. */
export function storePage(page: u32, source: usize): void {
  memory.copy(RAM + <usize>page * PAGE_BYTES, source, PAGE_BYTES);
  markWritten(page);
}

/** Makes one page of the segment's RAM zero. A page that is already zero is not written. */
export function clearPage(page: u32): void {
  const target = RAM + <usize>page * PAGE_BYTES;
  if (isWritten(page) && !isZeroPage(target)) memory.fill(target, 0, PAGE_BYTES);
}

/**
 * Decodes records of the current block (those with CONTINUE) until another kind of record follows.
 *
 * `lowOffset`..`highOffset` are the block offsets in this segment, and `firstPage` is the segment's page at `lowOffset`.
 * Results (u32 each): reason of the stop, page records, zero records.
 * Returns the number of bytes consumed.
 */
export function decodePages(input: usize, inputEnd: usize, lowOffset: u64, highOffset: u64, firstPage: u32): u32 {
  let at = input;
  let normal: u32 = 0;
  let zero: u32 = 0;
  let stop: u32 = STOP_INCOMPLETE;
  while (at + 8 <= inputEnd) {
    const header = bswap<u64>(load<u64>(at));
    const flags = header & 0xfff;
    const offset = header & ~(<u64>0xfff);
    if (flags != PAGE_CONTINUE && flags != ZERO_CONTINUE) {
      stop = STOP_OTHER;
      break;
    }
    if (offset < lowOffset || offset >= highOffset) {
      stop = STOP_OUTSIDE;
      break;
    }
    const page = <u32>((offset - lowOffset) >> 12) + firstPage;
    if (flags == PAGE_CONTINUE) {
      if (at + 8 + PAGE_BYTES > inputEnd) break;
      storePage(page, at + 8);
      at += 8 + PAGE_BYTES;
      normal++;
    } else {
      if (at + 9 > inputEnd) break;
      if (load<u8>(at, 8) != 0) {
        stop = STOP_OTHER;
        break;
      }
      clearPage(page);
      at += 9;
      zero++;
    }
  }
  store<u32>(ENGINE_RESULT, stop);
  store<u32>(ENGINE_RESULT, normal, 4);
  store<u32>(ENGINE_RESULT, zero, 8);
  return <u32>(at - input);
}
