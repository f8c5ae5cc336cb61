/**
 * The layout of one segment of guest memory. A segment is a shared `WebAssembly.Memory`: the kernels' own pages first,
 * then the work area of an engine worker, then guest RAM.
 *
 * | from            | content |
 * |-----------------|------|
 * | 0               | the kernels' statics and results (64 KiB) |
 * | DIRTY_LOG       | dirty log: one bit a page, set by vCPUs *after* they wrote, taken by the engine |
 * | MIGRATION_BITMAP| pages still to be sent; belongs to the engine alone |
 * | WRITTEN_BITMAP  | pages that were ever written: all others still contain their first zeros, and are neither
 * |                 | read by a source nor touched by a target. Fed from the dirty log and by targets |
 * | STAGING         | slots in which a source builds records, or the read buffer of a target |
 * | RAM             | guest RAM |
 *
 * One engine worker at a time owns the work area. Only the dirty log is shared: vCPUs set bits with an atomic or, and the
 * worker takes them with an atomic exchange. The order matters: write, then set the bit; take the bit, then read the page.
 */
export const PAGE_BYTES = 4096;
export const WASM_PAGE_BYTES = 65536;

/** Guest RAM in one segment, at most: 2 GiB, so that every address fits the kernels' 32 bits with room to spare. */
export const SEGMENT_RAM_BYTES_MAX = 2 ** 31;
const BITMAP_BYTES = SEGMENT_RAM_BYTES_MAX / PAGE_BYTES / 8;

/** Results of the engine's kernels: a call of a kernel returns only one number. */
export const ENGINE_RESULT_ADDRESS = 4096;
/** 256 bytes for the block name that a kernel writes into a record. */
export const KERNEL_SCRATCH_ADDRESS = 8192;
/** A word for the test whether two objects are the same memory. */
export const MEMORY_PROBE_ADDRESS = 8448;
export const DIRTY_LOG_ADDRESS = 65536;
export const MIGRATION_BITMAP_ADDRESS = DIRTY_LOG_ADDRESS + BITMAP_BYTES;
export const WRITTEN_BITMAP_ADDRESS = MIGRATION_BITMAP_ADDRESS + BITMAP_BYTES;
export const STAGING_ADDRESS = WRITTEN_BITMAP_ADDRESS + BITMAP_BYTES;
export const STAGING_BYTES = 4 * 2 ** 20;
export const RAM_ADDRESS = STAGING_ADDRESS + STAGING_BYTES;

if (RAM_ADDRESS % WASM_PAGE_BYTES !== 0) throw new RangeError('guest RAM must begin on a wasm page');
if (RAM_ADDRESS + SEGMENT_RAM_BYTES_MAX > 2 ** 32) throw new RangeError('a segment must fit 32-bit addresses');
