import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { PAGE_BYTES, STAGING_ADDRESS, WORK_AREA } from '../../src/engine/memory/layout.ts';
import { encodeOptions, KernelBench, PAGES, pageContents, pageRanges, pageSets } from './migration-bench.ts';
import type { EncodeOptions } from './migration-reference.ts';

const RECORD_BYTES_MAX = 8 + 1 + 255 + PAGE_BYTES;
const NAMES = WORK_AREA.transfer.scratch;
const ZERO_RECORD = 9;
const PAGE_RECORD = 8 + PAGE_BYTES;

const bench = new KernelBench();
beforeEach(() => bench.clear());

/** Room from less than a record to more than all pages need. */
const rooms = () =>
  fc.oneof(
    fc.integer({ min: 0, max: RECORD_BYTES_MAX * 3 }),
    fc.constantFrom(RECORD_BYTES_MAX - 1, RECORD_BYTES_MAX, RECORD_BYTES_MAX + 1, 2 ** 20),
  );

/** What is to be added to a page's offset in its segment: the block may begin before or behind the segment's RAM. */
const deltas = (firstPage: number) =>
  fc.oneof(fc.integer({ min: -firstPage, max: 0 }), fc.constantFrom(0, 1, 2 ** 20, 2 ** 39)).map((pages) => {
    return BigInt(pages) * BigInt(PAGE_BYTES);
  });

const calls = (): fc.Arbitrary<EncodeOptions> =>
  pageRanges().chain(([firstPage, endPage]) =>
    fc
      .record({
        room: rooms(),
        blockDelta: deltas(firstPage),
        nameLength: fc.constantFrom(0, 1, 9, 254, 255),
        detectZero: fc.boolean(),
        pagesMax: fc.oneof(fc.constantFrom(0, 1, 2, PAGES), fc.nat(PAGES)),
      })
      .map(({ room, ...rest }) => {
        return encodeOptions({ ...rest, firstPage, endPage, name: NAMES, outEnd: STAGING_ADDRESS + room });
      }),
  );

describe('encodePages', () => {
  it('has the effect of the reference on every byte of the segment', () => {
    fc.assert(
      fc.property(calls(), pageSets(), pageContents(), pageSets(), (call, dirty, contents, alsoWritten) => {
        bench.clear();
        bench.fill(contents);
        bench.mark('written', alsoWritten);
        bench.mark('migration', dirty);
        bench.bytes.fill(0x61, NAMES, NAMES + 255);
        const reference = bench.reference();
        expect(bench.encode(call)).toBe(reference.encodePages(call));
        bench.expectSame(reference);
      }),
      { numRuns: 100 },
    );
  });

  it('continues where it stopped, with the same records in calls of any size', () => {
    fc.assert(
      fc.property(pageSets(), pageContents(), fc.array(rooms(), { minLength: 1 }), (dirty, contents, sizes) => {
        bench.clear();
        bench.fill(contents);
        bench.mark('migration', dirty);
        const reference = bench.reference();
        reference.encodePages(encodeOptions({}));
        let out = STAGING_ADDRESS;
        let page = 0;
        for (let turn = 0; page < PAGES && turn < 3 * PAGES; turn += 1) {
          const room = Math.max(RECORD_BYTES_MAX, sizes[turn % sizes.length] ?? 0);
          page = bench.encode({ firstPage: page, out, outEnd: out + room, pagesMax: 7 });
          out += bench.results()[0] ?? 0;
        }
        const records = bench.bytes.subarray(STAGING_ADDRESS, out);
        expect(Buffer.compare(records, reference.bytes.subarray(STAGING_ADDRESS, out))).toBe(0);
        expect(reference.bytes.subarray(out, out + 8).every((byte) => byte === 0)).toBe(true);
        expect(bench.marked('migration')).toEqual([]);
      }),
    );
  });

  it('finds a single nonzero byte at every position of a page', () => {
    bench.mark('written', [64]);
    for (let offset = 0; offset < PAGE_BYTES; offset += 1) {
      bench.page(64)[offset] = 1 << (offset & 7);
      bench.mark('migration', [64]);
      bench.encode();
      if (bench.results()[1] !== 1) expect(`byte ${offset}: ${bench.results()}`).toBe(`byte ${offset}: a page`);
      bench.page(64)[offset] = 0;
    }
    bench.mark('migration', [64]);
    bench.encode();
    expect(bench.results()).toEqual([ZERO_RECORD, 0, 1]);
  });

  it('ignores bytes next to a page of zeros', () => {
    for (const page of [63, 64, 65]) bench.page(page).fill(page === 64 ? 0 : 0xff);
    bench.mark('written', [63, 64, 65]);
    bench.mark('migration', [64]);
    expect(bench.encode()).toBe(PAGES);
    expect(bench.results()).toEqual([ZERO_RECORD, 0, 1]);
  });

  it('encodes a page without writes as zeros without reading it', () => {
    bench.page(5).fill(0xff);
    bench.mark('migration', [5]);
    bench.encode();
    expect(bench.results()).toEqual([ZERO_RECORD, 0, 1]);
  });

  it('encodes every page completely without zero detection, written or not', () => {
    bench.mark('written', [5]);
    bench.mark('migration', [5, 6]);
    bench.encode({ detectZero: false });
    expect(bench.results()).toEqual([2 * PAGE_RECORD, 2, 0]);
  });

  it('leaves a page dirty, and returns it, if its record might not fit', () => {
    bench.mark('migration', [2, 64]);
    expect(bench.encode({ outEnd: STAGING_ADDRESS + RECORD_BYTES_MAX + ZERO_RECORD - 1 })).toBe(64);
    expect(bench.results()).toEqual([ZERO_RECORD, 0, 1]);
    expect(bench.marked('migration')).toEqual([64]);
    expect(bench.encode({ outEnd: STAGING_ADDRESS + RECORD_BYTES_MAX - 1 })).toBe(2 ** 6);
    expect(bench.results()).toEqual([0, 0, 0]);
  });

  it('leaves dirty pages outside its range unchanged, even in the same word', () => {
    const all = Array.from({ length: PAGES }, (_, page) => page);
    bench.mark('migration', all);
    expect(bench.encode({ firstPage: 3, endPage: 65 })).toBe(65);
    expect(bench.marked('migration')).toEqual(all.filter((page) => page < 3 || page >= 65));
  });

  it('names the block in its first record only, and writes offsets within the block', () => {
    bench.mark('migration', [64, 65]);
    bench.bytes.set(Buffer.from('pc.ram'), NAMES);
    bench.encode({ firstPage: 64, blockDelta: BigInt(-64 * PAGE_BYTES), name: NAMES, nameLength: 6 });
    const written = Buffer.from(bench.bytes.subarray(STAGING_ADDRESS, STAGING_ADDRESS + 25)).toString('hex');
    expect(written).toBe(['0000000000000002', '06', '70632e72616d', '00', '0000000000001022', '00'].join(''));
  });
});
