// The same constants as src/engine/memory/layout.ts; a test compares both files.
export const PAGE_BYTES: usize = 4096;
export const ENGINE_RESULT: usize = 4096;
export const DIRTY_LOG: usize = 65536;
export const MIGRATION_BITMAP: usize = 131072;
export const WRITTEN_BITMAP: usize = 196608;
export const RAM: usize = 262144 + 4 * 1024 * 1024;
