/**
 * The layout of one segment of guest memory. A segment is a shared `WebAssembly.Memory`: small areas of the kernels,
 * bitmaps, staging areas, then guest RAM. Kernels can reach one segment only, so each worker has its areas in every segment.
 *
 * | from            | content |
 * |-----------------|------|
 * | RESULTS         | results of the engine's kernels, for each work area |
 * | SCRATCH         | 256 bytes for the block name that a kernel writes into a record, for each work area |
 * | DIRTY_LOG       | dirty log: one bit a page, set by vCPUs *after* they wrote, taken by the engine |
 * | MIGRATION_BITMAP| pages still to be sent; belongs to the engine alone |
 * | WRITTEN_BITMAP  | pages that were ever written: all others still contain their first zeros, and are neither
 * |                 | read by a source nor touched by a target. Fed from the dirty log and by targets |
 * | STAGING         | slots in which a source builds records, or the read buffer of a target, for each work area |
 * | RAM             | guest RAM |
 *
 * A work area belongs to one worker, which may use it at any time. The bitmaps belong to the machine, and one engine worker
 * at a time uses them. The dirty log is also shared with vCPUs: they set bits with an atomic or, and the worker takes them
 * with an atomic exchange. The order matters: write, then set the bit; take the bit, then read the page.
 */
export const PAGE_BYTES = 4096;
export const WASM_PAGE_BYTES = 65536;

/** Guest RAM in one segment, at most: 2 GiB, so that every address fits the kernels' 32 bits with room to spare. */
export const SEGMENT_RAM_BYTES_MAX = 2 ** 31;
const BITMAP_BYTES = SEGMENT_RAM_BYTES_MAX / PAGE_BYTES / 8;

const RESULTS_ADDRESS = 4096;
const RESULTS_BYTES = 64;
const SCRATCH_ADDRESS = 8192;
const SCRATCH_BYTES = 256;
/** A word for the test whether two objects are the same memory. */
export const MEMORY_PROBE_ADDRESS = 32768;
export const DIRTY_LOG_ADDRESS = 65536;
export const MIGRATION_BITMAP_ADDRESS = DIRTY_LOG_ADDRESS + BITMAP_BYTES;
export const WRITTEN_BITMAP_ADDRESS = MIGRATION_BITMAP_ADDRESS + BITMAP_BYTES;
export const STAGING_ADDRESS = WRITTEN_BITMAP_ADDRESS + BITMAP_BYTES;
/** Bytes of the staging area of one worker. */
export const STAGING_BYTES = 4 * 2 ** 20;

/** Addresses of the areas that belong to one worker, the same in every segment. */
export type WorkArea = {
  /** Results of the engine's kernels: a call of a kernel returns only one number. */
  readonly results: number;
  readonly scratch: number;
  readonly staging: number;
};

/** The work area of each worker that works on guest memory. */
export const WORK_AREA = { transfer: workAreaAt(0), block: workAreaAt(1) } as const;
const AREAS = Object.keys(WORK_AREA).length;

export const RAM_ADDRESS = STAGING_ADDRESS + AREAS * STAGING_BYTES;

function workAreaAt(index: number): WorkArea {
  return {
    results: RESULTS_ADDRESS + index * RESULTS_BYTES,
    scratch: SCRATCH_ADDRESS + index * SCRATCH_BYTES,
    staging: STAGING_ADDRESS + index * STAGING_BYTES,
  };
}

if (RESULTS_ADDRESS + AREAS * RESULTS_BYTES > SCRATCH_ADDRESS) throw new RangeError('the results must fit');
if (SCRATCH_ADDRESS + AREAS * SCRATCH_BYTES > MEMORY_PROBE_ADDRESS) throw new RangeError('the names must fit');
if (RAM_ADDRESS % WASM_PAGE_BYTES !== 0) throw new RangeError('guest RAM must begin on a wasm page');
if (RAM_ADDRESS + SEGMENT_RAM_BYTES_MAX > 2 ** 32) throw new RangeError('a segment must fit 32-bit addresses');
