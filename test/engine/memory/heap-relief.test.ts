import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { trimHeap } from '../../../src/engine/memory/heap-relief.ts';
import { koffi } from '../../../src/native/c-library.ts';

const MIB = 2 ** 20;
/** Too small to be a mapping of its own: it comes from the heap. */
const PIECE_BYTES = 16_384;
const PIECES = 4096;

type Pointer = { readonly pointer: unique symbol };

/** Bytes that the system has given to this process for memory of its own. */
function residentBytes(): number {
  return Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
}

it('relieving the heap returns memory that the C library keeps after a peak', ({ skip }) => {
  skip(!trimHeap(), 'this C library has no malloc_trim');
  const library = koffi().load(null);
  const calloc = library.func('void *calloc(size_t count, size_t size)') as (count: number, size: number) => Pointer;
  const memset = library.func('void *memset(void *at, int value, size_t size)');
  const free = library.func('void free(void *pointer)') as (pointer: Pointer) => void;
  const pieces = Array.from({ length: PIECES }, () => calloc(1, PIECE_BYTES));
  for (const piece of pieces) memset(piece, 1, PIECE_BYTES);
  // The last allocation stays, so that the heap cannot shrink at its end.
  for (const piece of pieces.slice(0, -1)) free(piece);
  const before = residentBytes();
  expect(trimHeap()).toBe(true);
  expect(before - residentBytes()).toBeGreaterThan(50 * MIB);
  free(pieces.at(-1)!);
});
