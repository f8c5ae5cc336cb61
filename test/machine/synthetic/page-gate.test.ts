import { describe, expect, test } from 'vitest';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import { PAGE_BYTES } from '../../../src/engine/memory/layout.ts';
import { GuestMap } from '../../../src/machine/synthetic/guest-map.ts';
import { GuestPages, type PageGate, segmentKernels } from '../../../src/machine/synthetic/guest-pages.ts';

const RAM_BYTES = 2 ** 20;
const NO_GATE: PageGate = { beforeRead() {}, beforeWrite() {}, afterWrite() {} };

function makeGuest(gateOf: (pageBytes: (page: number) => Uint8Array) => PageGate) {
  const memory = createGuestMemory([{ name: 'ram', bytes: RAM_BYTES }]);
  const map = new GuestMap(memory, 1);
  const pageBytes = (page: number) => new Uint8Array(memory.segments[0]!.buffer, map.addressOf(page), PAGE_BYTES);
  const options = { memory, kernels: segmentKernels(memory), map, identity: { seed: 7, fill: 'random' } as const };
  return { map, pageBytes, pages: new GuestPages({ ...options, gate: gateOf(pageBytes) }) };
}

type Guest = ReturnType<typeof makeGuest>;

/** Boots the guest and writes every second data page once. @returns the number of writes. */
function bootAndWrite({ map, pages }: Guest): number {
  pages.writeBootPage();
  for (let page = map.firstDataPage; page < map.pages; page += 1) pages.fill(page);
  let writes = 0;
  for (let page = map.firstDataPage; page < map.pages; page += 2) {
    pages.write(page, 1);
    writes += 1;
  }
  return writes;
}

function checkAll({ map, pages }: Guest, writes: number): void {
  pages.checkBootPage();
  pages.checkUnusedLedger();
  expect(pages.ledgerSum(0)).toBe(writes);
  for (let page = map.firstDataPage; page < map.pages; page += 1) pages.check(page, writes);
}

describe('a page gate', () => {
  test('is called before and after each write of a page and of its ledger page', () => {
    const calls: string[] = [];
    const guest = makeGuest(() => ({
      beforeRead: (page) => calls.push(`read ${page}`),
      beforeWrite: (page) => calls.push(`write ${page}`),
      afterWrite: (page) => calls.push(`wrote ${page}`),
    }));
    const page = guest.map.firstDataPage;
    guest.pages.fill(page);
    guest.pages.check(page, 0);
    guest.pages.write(page, 1);
    expect(calls).toEqual([
      ...[`write ${page}`, `wrote ${page}`],
      ...['read 1', `read ${page}`],
      ...[`write ${page}`, `wrote ${page}`, 'write 1', 'wrote 1'],
    ]);
  });

  test('can load missing pages before the guest uses them, so that the guest finds all of its RAM', () => {
    const source = makeGuest(() => NO_GATE);
    const writes = bootAndWrite(source);
    const present = new Set<number>();
    const target = makeGuest((pageBytes) => {
      const request = (page: number) => {
        if (!present.has(page)) pageBytes(page).set(source.pageBytes(page));
        present.add(page);
      };
      return { beforeRead: request, beforeWrite: request, afterWrite() {} };
    });
    target.pages.check(target.map.firstDataPage, writes);
    expect([...present]).toEqual([1, target.map.firstDataPage]);
    target.pages.write(target.map.firstDataPage, 2);
    checkAll(target, writes + 1);
    expect(present.size).toBe(target.map.pages - 1);
  });

  test('can copy pages before the guest writes them, so that the copies and the other pages are a consistent state of RAM', () => {
    const copies = new Map<number, Uint8Array>();
    let isProtected = false;
    const guest = makeGuest((pageBytes) => ({
      beforeRead() {},
      beforeWrite(page) {
        if (isProtected && !copies.has(page)) copies.set(page, pageBytes(page).slice());
      },
      afterWrite() {},
    }));
    bootAndWrite(guest);
    const before = Array.from({ length: guest.map.pages }, (_, page) => guest.pageBytes(page).slice());
    isProtected = true;
    for (let page = guest.map.firstDataPage; page < guest.map.pages; page += 3) guest.pages.write(page, 2);
    expect(copies.size).toBeGreaterThan(guest.map.dataPages / 3);
    for (const [page, content] of before.entries()) {
      expect(Buffer.compare(copies.get(page) ?? guest.pageBytes(page), content)).toBe(0);
    }
  });
});
