import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BlockSize,
  createGuestMemory,
  firstPageOf,
  kernelsOf,
  memoryBytes,
} from '../../../src/engine/memory/guest-memory.ts';
import {
  DIRTY_LOG_ADDRESS,
  PAGE_BYTES,
  RAM_ADDRESS,
  SEGMENT_RAM_BYTES_MAX,
  WORK_AREA,
  WRITTEN_BITMAP_ADDRESS,
} from '../../../src/engine/memory/layout.ts';
import type { GuestMemory, RamExtent } from '../../../src/engine/memory/machine-state.ts';
import { addressOf, adviseHugePages } from '../../../src/engine/memory/memory-advice.ts';

const PAGE = PAGE_BYTES;

function blocksOf(pages: readonly number[]): BlockSize[] {
  return pages.map((count, index) => ({ name: `block${index}`, bytes: count * PAGE }));
}

/** Every page of every block as (segment, address), in the order of the blocks. */
function placesOf({ blocks }: GuestMemory): string[] {
  return blocks.flatMap(({ extents }) => extents.flatMap((extent) => pagesOf(extent)));
}

function pagesOf({ segment, address, bytes }: RamExtent): string[] {
  return Array.from({ length: bytes / PAGE }, (_, page) => `${segment}:${address + page * PAGE}`);
}

describe('createGuestMemory', () => {
  it('gives every page of every block its own place inside a segment, without gaps', () => {
    const blocks = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(blocks, fc.integer({ min: 16, max: 64 }), (pages, segmentPages) => {
        const memory = createGuestMemory(blocksOf(pages), segmentPages * PAGE);
        const total = pages.reduce((sum, count) => sum + count, 0);
        expect(memory.segments).toHaveLength(Math.ceil(total / segmentPages));
        expect(memoryBytes(memory)).toBe(total * PAGE);
        expect(new Set(placesOf(memory)).size).toBe(total);
        memory.blocks.forEach(({ name, bytes, extents }, index) => {
          expect([name, bytes]).toEqual([`block${index}`, pages[index]! * PAGE]);
          let offset = 0;
          for (const extent of extents) {
            expect(extent.blockOffset).toBe(offset);
            expect(extent.address).toBeGreaterThanOrEqual(RAM_ADDRESS);
            const end = extent.address + extent.bytes;
            expect(end).toBeLessThanOrEqual(RAM_ADDRESS + segmentPages * PAGE);
            expect(end).toBeLessThanOrEqual(memory.segments[extent.segment]!.buffer.byteLength);
            offset += extent.bytes;
          }
          expect(offset).toBe(bytes);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('lets a block begin after another in the same segment, and span several segments', () => {
    const { blocks, segments } = createGuestMemory(blocksOf([3, 6, 1]), 4 * PAGE);
    expect(segments).toHaveLength(3);
    expect(blocks.map(({ extents }) => extents)).toEqual([
      [{ segment: 0, address: RAM_ADDRESS, blockOffset: 0, bytes: 3 * PAGE }],
      [
        { segment: 0, address: RAM_ADDRESS + 3 * PAGE, blockOffset: 0, bytes: PAGE },
        { segment: 1, address: RAM_ADDRESS, blockOffset: PAGE, bytes: 4 * PAGE },
        { segment: 2, address: RAM_ADDRESS, blockOffset: 5 * PAGE, bytes: PAGE },
      ],
      [{ segment: 2, address: RAM_ADDRESS + PAGE, blockOffset: 0, bytes: PAGE }],
    ]);
  });

  it('returns memory that is shared between threads and contains zeros', () => {
    const [segment] = createGuestMemory(blocksOf([16])).segments;
    const bytes = new Uint8Array(segment!.buffer);
    expect(segment!.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(bytes.length).toBe(RAM_ADDRESS + 16 * PAGE);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('uses no memory of the system before a page is written', () => {
    const before = process.memoryUsage().rss;
    const memory = createGuestMemory([{ name: 'large', bytes: 3 * SEGMENT_RAM_BYTES_MAX }]);
    expect(memory.segments).toHaveLength(3);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
  });

  it('creates no segment for a machine without RAM', () => {
    expect(createGuestMemory([])).toEqual({ segments: [], blocks: [] });
  });

  it.each([0, -PAGE, 1, PAGE - 1, PAGE + 1, 4096.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses a block of %s bytes and names it',
    (bytes) => {
      const sizes = [...blocksOf([1]), { name: 'odd.ram', bytes }];
      expect(() => createGuestMemory(sizes)).toThrow(RangeError);
      expect(() => createGuestMemory(sizes)).toThrow(`odd.ram has ${bytes} bytes`);
    },
  );

  it.each([0, -PAGE, 1, PAGE + 1, Number.NaN, SEGMENT_RAM_BYTES_MAX + PAGE])(
    'refuses segments of at most %s bytes',
    (segmentBytesMax) => {
      expect(() => createGuestMemory(blocksOf([1]), segmentBytesMax)).toThrow(RangeError);
    },
  );
});

describe('kernelsOf', () => {
  it('gives each segment as many words of its bitmaps as its pages need', () => {
    const memory = createGuestMemory(blocksOf([60, 5, 65]), 65 * PAGE);
    expect(kernelsOf(memory, WORK_AREA.transfer).map(({ words }) => words)).toEqual([2, 2]);
    expect(firstPageOf(memory.blocks[1]!.extents[0]!)).toBe(60);
    expect(kernelsOf(createGuestMemory(blocksOf([64])), WORK_AREA.transfer).map(({ words }) => words)).toEqual([1]);
  });

  it('limits the kernels of a segment to that segment', () => {
    const memory = createGuestMemory(blocksOf([8]), 4 * PAGE);
    const [first, second] = kernelsOf(memory, WORK_AREA.transfer);
    new Uint8Array(memory.segments[1]!.buffer, RAM_ADDRESS, PAGE).fill(7);
    second!.kernels.storePage(3, RAM_ADDRESS);
    expect(new Uint8Array(memory.segments[1]!.buffer)[RAM_ADDRESS + 4 * PAGE - 1]).toBe(7);
    expect(new Uint8Array(memory.segments[0]!.buffer).every((byte) => byte === 0)).toBe(true);
    first!.kernels.markAllDirty(0, 4);
    expect(second!.kernels.syncDirtyLog(1)).toBe(0);
  });
});

/** Whether the mapping at this address has the flag `hg`: it was advised to take huge pages. */
function isAdvised(address: bigint): boolean {
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const mapping = mappings.find((text) => {
    const [from, to] = text
      .split(' ', 1)[0]!
      .split('-')
      .map((bound) => BigInt(`0x${bound}`));
    return from! <= address && address < to!;
  });
  return /^VmFlags:.* hg/m.test(mapping ?? '');
}

describe('adviseHugePages', () => {
  it('reports whether the system accepted the advice, and does not change the memory', () => {
    const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
    new Uint8Array(memory.buffer)[4_000_000] = 9;
    expect(typeof adviseHugePages(memory, 0)).toBe('boolean');
    expect(new Uint8Array(memory.buffer)[4_000_000]).toBe(9);
  });

  it('returns false for memory that is too small for a huge page', () => {
    expect(adviseHugePages(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }), 0)).toBe(false);
  });

  it('returns false, and does not throw, for memory that cannot be advised', () => {
    expect(adviseHugePages({ buffer: null } as unknown as WebAssembly.Memory, 0)).toBe(false);
  });

  it('succeeds on a Linux with huge pages', ({ skip }) => {
    skip(process.platform !== 'linux', 'only Linux takes the advice');
    const memory = new WebAssembly.Memory({ initial: 128, maximum: 128, shared: true });
    expect(adviseHugePages(memory, 0)).toBe(true);
  });

  it('excludes the bitmaps of a segment, so that setting one bit does not allocate a huge page', ({ skip }) => {
    skip(process.platform !== 'linux', 'only Linux takes the advice');
    const [segment] = createGuestMemory([{ name: 'ram', bytes: 16 * 2 ** 20 }]).segments;
    const huge = [DIRTY_LOG_ADDRESS, WRITTEN_BITMAP_ADDRESS, RAM_ADDRESS, RAM_ADDRESS + 8 * 2 ** 20].map((address) =>
      isAdvised(addressOf(new Uint8Array(segment!.buffer, address))),
    );
    expect(huge).toEqual([false, false, true, true]);
  });
});
