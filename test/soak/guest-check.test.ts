// Migrations of guests with various numbers of vCPUs, segments of RAM and fills, with and without damage.

import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../src/engine/memory/layout.ts';
import {
  differingPages,
  expectDamageFound,
  expectSameThere,
  FIRST_DATA_PAGE,
  flip,
  forgetDirtyPage,
  guestPair,
  isToBeSent,
  LARGE,
  migrate,
  pageWhere,
  sequenceOf,
  untilSwept,
} from '../helpers/direct-migration.ts';
import { dataPages, MIB, nextPanic, pageOf } from '../machine/guest-bench.ts';

const WORKLOAD = { rate: 10 * MIB, span: 5 * MIB } as const;

test.each([
  ['one vCPU', { vcpus: 1 }, {}],
  ['three vCPUs', { vcpus: 3 }, {}],
  [
    'RAM in four segments here and in three there',
    { vcpus: 2, segmentBytesMax: 2 * MIB },
    { segmentBytesMax: 3 * MIB },
  ],
  ['RAM in eight segments, to one', { segmentBytesMax: MIB }, { segmentBytesMax: 64 * MIB }],
  ['RAM in one segment, to many', {}, { segmentBytesMax: MIB }],
  ['RAM full of noise', { workload: { ...WORKLOAD, fill: 'random' as const } }, {}],
  ['RAM full of text', { workload: { ...WORKLOAD, fill: 'text' as const } }, {}],
])('a migration gives the target the same memory, in which the guest finds no fault: %s', async (_, options, there) => {
  await expectSameThere({ workload: WORKLOAD, ...options }, there);
});

test('a changed byte at the target in the header of a written page stops the guest there', async () => {
  await expectDamageFound(await guestPair({ vcpus: 2, workload: WORKLOAD }), 'corrupt', (page) => flip(page, 0));
});

describe('a byte that changes at the source', () => {
  test('in a page that is still to be sent stops the guest at the target', async () => {
    const pair = await guestPair({ workload: WORKLOAD });
    let page = 0;
    const { panic } = await migrate(pair, {
      beforeSwitchover: ({ source }) => {
        page = dataPages(source, true).find((candidate) => isToBeSent(source, candidate))!;
        pageOf(source, page)[2000]! ^= 1;
      },
    });
    await expect(panic).resolves.toMatchObject({ kind: 'torn', address: page * PAGE_BYTES });
    expect((await panic).detail).toMatch(/^the checksum does not fit the body/);
  });

  test('without its dirty bit, once the page was sent, harms the source alone', async () => {
    const pair = await guestPair({ workload: WORKLOAD });
    let page = 0;
    await migrate(pair, {
      beforeSwitchover: ({ source }) => {
        page = dataPages(source, true).find((candidate) => !isToBeSent(source, candidate))!;
        pageOf(source, page)[2000]! ^= 1;
      },
      beforeAdoption: () => expect(differingPages(pair)).toEqual([page]),
    });
    await untilSwept(pair.target, 2);
    expect(pair.target.describe().guest?.panic).toBeNull();
    const panic = nextPanic(pair.source);
    pair.source.release('migration');
    await expect(panic).resolves.toMatchObject({ kind: 'torn', address: page * PAGE_BYTES });
  });
});

describe('one unsent dirty page', () => {
  test('is reported as lost if it had its first write', async () => {
    const pair = await guestPair(LARGE);
    let page = 0;
    const { panic } = await migrate(pair, {
      beforeSwitchover: ({ source, target }) => {
        page = pageWhere(pair, (candidate) => sequenceOf(target, candidate) === 0);
        forgetDirtyPage(source, page);
      },
      beforeAdoption: () => expect(differingPages(pair)).toEqual([page]),
    });
    await expect(panic).resolves.toMatchObject({ kind: 'lost', address: page * PAGE_BYTES });
    expect((await panic).detail).toContain('is all zeros; expected its write');
  });

  test('is detected before the guest runs if it is a page of the ledger', async () => {
    const pair = await guestPair(LARGE);
    let page = 0;
    const { panic } = await migrate(pair, {
      beforeSwitchover: ({ source }) => {
        page = differingPages(pair)[0]!;
        expect(page).toBeGreaterThan(0);
        expect(page).toBeLessThan(FIRST_DATA_PAGE);
        forgetDirtyPage(source, page);
      },
      beforeAdoption: () => expect(differingPages(pair)).toEqual([page]),
    });
    await expect(panic).resolves.toMatchObject({ kind: 'lost', address: null });
    const { source, target } = pair;
    expect(target.describe().guest?.pagesWritten).toBe(source.describe().guest?.pagesWritten);
  });
});
