import { DIRTY_LOG, MIGRATION_BITMAP, WRITTEN_BITMAP } from './layout';

/**
 * Moves the dirty log, `words` words of 64 bits for 64 pages each, into the migration bitmap and the written bitmap.
 * Returns the number of pages that were not dirty before.
 */
export function syncDirtyLog(words: u32): u32 {
  let found: u32 = 0;
  for (let i: usize = 0, end = (<usize>words) << 3; i < end; i += 8) {
    if (atomic.load<u64>(DIRTY_LOG + i) == 0) continue;
    const taken = atomic.xchg<u64>(DIRTY_LOG + i, 0);
    const before = load<u64>(MIGRATION_BITMAP + i);
    found += <u32>popcnt(taken & ~before);
    store<u64>(MIGRATION_BITMAP + i, before | taken);
    store<u64>(WRITTEN_BITMAP + i, load<u64>(WRITTEN_BITMAP + i) | taken);
  }
  return found;
}

/** Sets the bits of the pages `firstPage`..`endPage` (exclusive) in the migration bitmap, and clears the other bits of their words. */
export function markAllDirty(firstPage: u32, endPage: u32): void {
  for (let page = firstPage; page < endPage; ) {
    const word = MIGRATION_BITMAP + ((<usize>page >> 6) << 3);
    if ((page & 63) == 0 && endPage - page >= 64) {
      store<u64>(word, ~(<u64>0));
      page += 64;
    } else {
      store<u64>(word, load<u64>(word) | ((<u64>1) << (<u64>page & 63)));
      page++;
    }
  }
}

/** Clears `words` 64-bit words of the migration bitmap. */
export function clearMigrationBitmap(words: u32): void {
  memory.fill(MIGRATION_BITMAP, 0, (<usize>words) << 3);
}
