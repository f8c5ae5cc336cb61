import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { DECODE_STOP } from '../../src/engine/kernels/kernels.ts';
import { PAGE_BYTES, STAGING_ADDRESS } from '../../src/engine/memory/layout.ts';
import { combinations } from '../helpers/combinations.ts';
import { KernelBench, PAGES, pageContents, pageNumbers, pageSets } from './migration-bench.ts';
import type { DecodeOptions } from './migration-reference.ts';

/** The extent of most tests: it lies neither at the start of its block nor at the start of its segment. */
const EXTENT = { firstPage: 3, pages: 100, blockPage: 2 ** 21 + 5 } as const;
const RUNS = combinations([100, 30], [30]);
const bench = new KernelBench();
beforeEach(() => bench.clear());

type Kind = 'page' | 'zero' | 'named' | 'eos' | 'fill' | 'unknown';

/** The bytes of a record for page `at` of the extent; pages below 0 and from `pages` on are outside. */
function record(kind: Kind, at: number, value = 0): Buffer {
  const flags = { page: 0x28, zero: 0x22, named: 0x08, eos: 0x10, fill: 0x22, unknown: 0x28 | 0x400 }[kind];
  const head = Buffer.alloc(8);
  head.writeBigUInt64BE(BigInt(EXTENT.blockPage + at) * BigInt(PAGE_BYTES) + BigInt(flags));
  if (kind === 'zero') return Buffer.concat([head, Buffer.of(0)]);
  if (kind === 'fill') return Buffer.concat([head, Buffer.of(value | 1)]);
  return kind === 'eos' ? head : Buffer.concat([head, Buffer.alloc(PAGE_BYTES, value)]);
}

const records = (): fc.Arbitrary<Buffer> =>
  fc.oneof(
    {
      weight: 20,
      arbitrary: fc
        .tuple(fc.constantFrom<Kind>('page', 'zero'), pageNumbers(EXTENT.pages - 1), fc.nat(255))
        .map(([kind, at, value]) => record(kind, at, value)),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom<Kind>('page', 'zero'), fc.constantFrom(-EXTENT.blockPage, -1, EXTENT.pages, 2 ** 30))
        .map(([kind, at]) => record(kind, at, 7)),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Kind>('named', 'eos', 'fill', 'unknown').map((kind) => record(kind, 1, 9)),
    },
  );

function optionsFor(bytes: number): DecodeOptions {
  const lowOffset = BigInt(EXTENT.blockPage) * BigInt(PAGE_BYTES);
  const highOffset = lowOffset + BigInt(EXTENT.pages * PAGE_BYTES);
  return { input: STAGING_ADDRESS, inputEnd: STAGING_ADDRESS + bytes, lowOffset, highOffset, firstPage: 3 };
}

function decode(input: Uint8Array): number {
  bench.bytes.set(input, STAGING_ADDRESS);
  const { input: from, inputEnd, lowOffset, highOffset, firstPage } = optionsFor(input.length);
  return bench.kernels.decodePages(from, inputEnd, lowOffset, highOffset, firstPage);
}

describe('decodePages', () => {
  it.each(RUNS)('has the effect of the reference on every byte of the segment, in %i runs', (numRuns) => {
    const inputs = fc.tuple(fc.array(records(), { maxLength: 40 }), fc.nat(PAGE_BYTES + 8));
    fc.assert(
      fc.property(inputs, pageContents(), pageSets(), ([list, cut], contents, written) => {
        bench.clear();
        bench.fill(contents);
        bench.mark('written', written);
        const whole = Buffer.concat(list);
        const input = whole.subarray(0, Math.max(0, whole.length - cut));
        bench.bytes.set(whole, STAGING_ADDRESS);
        const reference = bench.reference();
        expect(decode(input)).toBe(reference.decodePages(optionsFor(input.length)));
        bench.expectSame(reference);
      }),
      { numRuns },
    );
  });

  it('applies, with the input cut at every byte, the complete records before the cut and no part of the last one', () => {
    const list = [record('zero', 0), record('page', 1, 0x55), record('zero', 2), record('page', 99, 0x77)];
    const whole = Buffer.concat(list);
    const ends = list.map((_, index) => Buffer.concat(list.slice(0, index + 1)).length);
    bench.bytes.set(whole, STAGING_ADDRESS);
    const { input, lowOffset, highOffset, firstPage } = optionsFor(0);
    for (let cut = 0; cut <= whole.length; cut += 1) {
      bench.page(4).fill(0);
      bench.page(102).fill(0);
      const taken = bench.kernels.decodePages(input, input + cut, lowOffset, highOffset, firstPage);
      const count = ends.filter((end) => end <= cut).length;
      const found = [taken, bench.results(), bench.page(4)[0], bench.page(4)[4095], bench.page(102)[4095]];
      const normal = count < 2 ? 0 : count < 4 ? 1 : 2;
      const pages = [count >= 2 ? 0x55 : 0, count >= 2 ? 0x55 : 0, count === 4 ? 0x77 : 0];
      const wanted = [ends[count - 1] ?? 0, [DECODE_STOP.incomplete, normal, count - normal], ...pages];
      if (JSON.stringify(found) !== JSON.stringify(wanted)) expect({ cut, found }).toEqual({ cut, found: wanted });
    }
  });

  it.each([
    ['that names its block', record('named', 1, 9), DECODE_STOP.other],
    ['that ends the section', record('eos', 1), DECODE_STOP.other],
    ['with an unknown flag', record('unknown', 1, 9), DECODE_STOP.other],
    ['of zeros with a nonzero fill byte', record('fill', 1, 0x80), DECODE_STOP.other],
    ['of a page directly before the extent', record('page', -1, 9), DECODE_STOP.outside],
    ['of a page directly after the extent', record('page', EXTENT.pages, 9), DECODE_STOP.outside],
    ['of zeros directly after the extent', record('zero', EXTENT.pages), DECODE_STOP.outside],
    ['of the start of the block', record('page', -EXTENT.blockPage, 9), DECODE_STOP.outside],
  ])('stops before a record %s', (_, stopper, why) => {
    const good = Buffer.concat([record('page', 0, 1), record('zero', 1)]);
    expect(decode(Buffer.concat([good, stopper, record('page', 5, 3)]))).toBe(good.length);
    expect(bench.results()).toEqual([why, 1, 1]);
    expect(bench.marked('written')).toEqual([3]);
    const touched = Array.from({ length: PAGES }, (_, page) => page).filter((page) =>
      bench.page(page).some((byte) => byte !== 0),
    );
    expect(touched).toEqual([3]);
  });

  it('accepts no zero record with another byte', () => {
    for (let value = 1; value <= 255; value += 1) {
      const bytes = record('zero', 4);
      bytes[8] = value;
      expect([decode(bytes), ...bench.results()]).toEqual([0, DECODE_STOP.other, 0, 0]);
    }
  });

  it('reaches the last page of the extent', () => {
    expect(decode(record('page', EXTENT.pages - 1, 8))).toBe(8 + PAGE_BYTES);
    expect(bench.marked('written')).toEqual([EXTENT.firstPage + EXTENT.pages - 1]);
    expect(bench.page(EXTENT.firstPage + EXTENT.pages - 1).every((byte) => byte === 8)).toBe(true);
  });
});

describe('storePage and clearPage', () => {
  it.each(RUNS)('have the effect of the reference on every byte of the segment, in %i runs', (numRuns) => {
    const steps = fc.array(fc.record({ page: pageNumbers(), clears: fc.boolean(), value: fc.nat(255) }));
    fc.assert(
      fc.property(steps, pageContents(), pageSets(), (list, contents, written) => {
        bench.clear();
        bench.fill(contents);
        bench.mark('written', written);
        list.forEach(({ value }, index) => {
          bench.bytes.fill(value, STAGING_ADDRESS + index * PAGE_BYTES, STAGING_ADDRESS + (index + 1) * PAGE_BYTES);
        });
        const reference = bench.reference();
        list.forEach(({ page, clears }, index) => {
          const source = STAGING_ADDRESS + index * PAGE_BYTES;
          for (const one of [bench.kernels, reference]) clears ? one.clearPage(page) : one.storePage(page, source);
        });
        bench.expectSame(reference);
      }),
      { numRuns },
    );
  });

  it('do not touch a page without writes, so that it takes no memory', () => {
    bench.page(64).fill(3);
    bench.kernels.clearPage(64);
    expect(bench.page(64).every((byte) => byte === 3)).toBe(true);
  });

  it('clear a page whose only nonzero byte is its last one', () => {
    bench.page(64)[PAGE_BYTES - 1] = 1;
    bench.mark('written', [64]);
    bench.kernels.clearPage(64);
    expect(bench.page(64)[PAGE_BYTES - 1]).toBe(0);
  });
});

describe('encodePages and decodePages together', () => {
  it.each(RUNS)('give another segment the same RAM, at any place of the extent, in %i runs', (numRuns) => {
    const other = new KernelBench(PAGES + 70);
    fc.assert(
      fc.property(pageContents(), pageContents(), fc.nat(69), fc.boolean(), (contents, before, shift, detectZero) => {
        bench.clear();
        bench.fill(contents);
        bench.mark('migration', [...Array(PAGES).keys()]);
        other.clear();
        other.fill(before.map(({ page, ...rest }) => ({ page: page + shift, ...rest })));
        const blockDelta = BigInt(2 ** 33);
        expect(bench.encode({ blockDelta, detectZero, name: 0, nameLength: 0 })).toBe(PAGES);
        const [bytes = 0, normal = 0, zero = 0] = bench.results();
        other.bytes.set(bench.bytes.subarray(STAGING_ADDRESS, STAGING_ADDRESS + bytes), STAGING_ADDRESS);
        const high = blockDelta + BigInt(PAGES * PAGE_BYTES);
        const end = STAGING_ADDRESS + bytes;
        expect(other.kernels.decodePages(STAGING_ADDRESS, end, blockDelta, high, shift)).toBe(bytes);
        expect(other.results()).toEqual([DECODE_STOP.incomplete, normal, zero]);
        for (let page = 0; page < PAGES; page += 1) {
          expect(Buffer.compare(other.page(page + shift), bench.page(page))).toBe(0);
        }
      }),
      { numRuns },
    );
  });
});
