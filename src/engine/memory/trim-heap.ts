import { koffi } from './madvise.ts';

let call: ((pad: number) => number) | null = null;

/**
 * Gives what is free in the C library's heap back to the system (`man 3 malloc_trim`). glibc keeps it, for each thread
 * apart: what starting the service and a migration's thread needed for a moment would stay resident for good, since
 * nothing asks for so much again. Takes some milliseconds, in which other threads may have to wait for memory.
 * @returns false where the C library has no such call.
 */
export function trimHeap(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    call ??= koffi().load(null).func('int malloc_trim(size_t pad)') as (pad: number) => number;
    call(0);
    return true;
  } catch {
    return false;
  }
}
