// The same constants as src/engine/memory/layout.ts; a test compares both files.
export const PAGE_BYTES: usize = 4096;
export const DIRTY_LOG: usize = 65536;
export const MIGRATION_BITMAP: usize = 131072;
export const WRITTEN_BITMAP: usize = 196608;
export const RAM: usize = 262144 + 8 * 1024 * 1024;

/** Where kernels store their results: in the work area of the thread that instantiates the module. */
// @ts-ignore: decorator
@external('env', 'results')
export declare const ENGINE_RESULT: usize;
