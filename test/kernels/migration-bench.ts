// A small segment for the real kernels, with functions to fill it and to compare it with the reference.

import fc from 'fast-check';
import { expect } from 'vitest';
import { instantiateKernels, type MigrationKernels } from '../../src/engine/kernels/kernels.ts';
import { createGuestMemory } from '../../src/engine/memory/guest-memory.ts';
import {
  DIRTY_LOG_ADDRESS,
  MIGRATION_BITMAP_ADDRESS,
  PAGE_BYTES,
  RAM_ADDRESS,
  STAGING_ADDRESS,
  WORK_AREA,
  WRITTEN_BITMAP_ADDRESS,
} from '../../src/engine/memory/layout.ts';
import { type EncodeOptions, ReferenceSegment } from './migration-reference.ts';

/** Two words of the bitmaps and a bit: every boundary of a word lies inside. */
export const PAGES = 130;

/** Page numbers, often next to the boundary of a word. */
export const pageNumbers = (max = PAGES - 1): fc.Arbitrary<number> =>
  fc.oneof(fc.constantFrom(0, 1, 62, 63, 64, 65, 126, 127, 128, 129), fc.nat(PAGES)).map((page) => Math.min(page, max));

/** A first page and the page after the last. */
export const pageRanges = (): fc.Arbitrary<readonly [number, number]> =>
  fc.tuple(pageNumbers(PAGES), pageNumbers(PAGES)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

/** Sets of pages: sparse ones, dense ones, all, none. */
export const pageSets = (): fc.Arbitrary<readonly number[]> =>
  fc.oneof(
    fc.uniqueArray(fc.nat(PAGES - 1), { maxLength: 8 }),
    fc.uniqueArray(fc.nat(PAGES - 1), { minLength: 60, maxLength: PAGES }),
    fc.constantFrom<number[]>(
      [],
      Array.from({ length: PAGES }, (_, page) => page),
      [63],
      [64],
      [63, 64, 65],
    ),
  );

/** The content of a page: the byte `value` at `offset`, or only zeros. */
export type PageContent = { readonly page: number; readonly offset: number; readonly value: number };

export const pageContents = (): fc.Arbitrary<readonly PageContent[]> =>
  fc.array(
    fc.record({
      page: pageNumbers(),
      offset: fc.oneof(fc.constantFrom(0, 63, 64, 4095), fc.nat(PAGE_BYTES - 1)),
      value: fc.nat(255),
    }),
    { maxLength: 80 },
  );

export class KernelBench {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly kernels: MigrationKernels;
  readonly memory: WebAssembly.Memory;
  readonly #zeros: Uint8Array;

  constructor(pages = PAGES) {
    this.memory = createGuestMemory([{ name: 'bench', bytes: pages * PAGE_BYTES }]).segments[0]!;
    this.bytes = new Uint8Array(this.memory.buffer as unknown as SharedArrayBuffer);
    this.kernels = instantiateKernels(this.memory);
    this.#zeros = new Uint8Array(this.bytes.length);
  }

  /** Clears the segment and the reference. */
  clear(): void {
    // Five times as fast as `fill` on shared memory.
    this.bytes.set(this.#zeros);
  }

  reference(): ReferenceSegment {
    return new ReferenceSegment(this.bytes);
  }

  /** Expects that every byte of the segment, including the work area, equals the reference. */
  expectSame(reference: ReferenceSegment): void {
    if (Buffer.compare(this.bytes, reference.bytes) === 0) return;
    const at = this.bytes.findIndex((byte, index) => byte !== reference.bytes[index]);
    expect(`byte ${at} is ${this.bytes[at]}`).toBe(`byte ${at} is ${reference.bytes[at]}`);
  }

  mark(bitmap: 'log' | 'migration' | 'written', pages: readonly number[]): void {
    for (const page of pages) this.bytes[BITMAPS[bitmap] + (page >> 3)]! |= 1 << (page & 7);
  }

  marked(bitmap: 'log' | 'migration' | 'written'): number[] {
    const isSet = (page: number) => ((this.bytes[BITMAPS[bitmap] + (page >> 3)]! >> (page & 7)) & 1) === 1;
    return Array.from({ length: PAGES }, (_, page) => page).filter(isSet);
  }

  /** Writes contents into pages, and marks nonzero pages as written. */
  fill(contents: readonly PageContent[]): void {
    for (const { page, offset, value } of contents) this.page(page)[offset] = value;
    this.mark(
      'written',
      contents.map(({ page }) => page),
    );
  }

  page(page: number): Uint8Array<SharedArrayBuffer> {
    return this.bytes.subarray(RAM_ADDRESS + page * PAGE_BYTES, RAM_ADDRESS + (page + 1) * PAGE_BYTES);
  }

  encode(options: Partial<EncodeOptions> = {}): number {
    const all = encodeOptions(options);
    return this.kernels.encodePages(
      all.firstPage,
      all.endPage,
      all.blockDelta,
      all.out,
      all.outEnd,
      all.name,
      all.nameLength,
      all.detectZero ? 1 : 0,
      all.pagesMax,
    );
  }

  results(): number[] {
    return [...new Uint32Array(this.memory.buffer, WORK_AREA.transfer.results, 3)];
  }
}

const BITMAPS = {
  log: DIRTY_LOG_ADDRESS,
  migration: MIGRATION_BITMAP_ADDRESS,
  written: WRITTEN_BITMAP_ADDRESS,
} as const;

/** Encodes all pages of the bench into the staging area, unless options differ. */
export function encodeOptions(options: Partial<EncodeOptions>): EncodeOptions {
  return {
    firstPage: 0,
    endPage: PAGES,
    blockDelta: 0n,
    out: STAGING_ADDRESS,
    outEnd: STAGING_ADDRESS + 2 ** 20,
    name: 0,
    nameLength: 0,
    detectZero: true,
    pagesMax: PAGES,
    ...options,
  };
}
