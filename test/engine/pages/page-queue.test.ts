import { describe, expect, test } from 'vitest';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import { DIRTY_LOG_ADDRESS, RAM_ADDRESS } from '../../../src/engine/memory/layout.ts';
import type { GuestMemory } from '../../../src/engine/memory/machine-state.ts';
import { PLAIN_RECORDS } from '../../../src/engine/pages/formats/plain-records.ts';
import { PAGE, Sending } from './sending.ts';

const CONTINUE = 0x20;

/** Two blocks in two segments: `low` has 12 pages, of which the last 4 lie in the second segment with `high`. */
class Pages {
  readonly memory: GuestMemory = createGuestMemory(
    [
      { name: 'low', bytes: 12 * PAGE },
      { name: 'high', bytes: 4 * PAGE },
    ],
    8 * PAGE,
  );
  readonly #sending: Sending;
  #block = '?';

  constructor() {
    for (const segment of this.memory.segments) {
      new Uint8Array(segment.buffer, RAM_ADDRESS).fill(7);
      new Uint8Array(segment.buffer, DIRTY_LOG_ADDRESS, 1).fill(0xff);
    }
    this.#sending = new Sending(this.memory, PLAIN_RECORDS);
  }

  get queue() {
    return this.#sending.ram.queue;
  }

  /** Sends one page. @returns its block and its number in the block, by the record; null if none was left. */
  async sendOne(): Promise<string | null> {
    const { bytes } = await this.#sending.ram.send(1);
    if (bytes === 0) return null;
    const record = Buffer.from(this.#sending.staging.newest(bytes));
    const word = record.readBigUInt64BE(0);
    if ((word & BigInt(CONTINUE)) === 0n) this.#block = record.toString('utf8', 9, 9 + record.readUInt8(8));
    return `${this.#block} ${Number(word >> 12n)}`;
  }

  /** Sends until the pass has ended. */
  async sendAll(): Promise<string[]> {
    const order: string[] = [];
    while (!this.queue.isPassEnded) {
      const page = await this.sendOne();
      if (page !== null) order.push(page);
    }
    return order;
  }

  /** The guest writes a page of the block `low` in the first segment. */
  write(page: number): void {
    const segment = this.memory.segments[0];
    if (segment === undefined) throw new Error('there is no memory');
    new Uint8Array(segment.buffer, DIRTY_LOG_ADDRESS, 1)[0]! |= 1 << page;
  }

  request(block: string, page: number, count = 1): void {
    this.queue.request({ block, offset: page * PAGE, bytes: count * PAGE });
  }
}

const named = (block: string, from: number, end: number) =>
  Array.from({ length: end - from }, (_, index) => `${block} ${from + index}`);
const ALL = [...named('low', 0, 12), ...named('high', 0, 4)];

describe('a page queue', () => {
  test('returns all pages in order if there are no requests', async () => {
    const pages = new Pages();
    expect(pages.queue.remainingBytes).toBe(16 * PAGE);
    expect(await pages.sendAll()).toEqual(ALL);
    expect(pages.queue.remainingBytes).toBe(0);
  });

  test('returns a requested page first, and only once', async () => {
    const pages = new Pages();
    expect([await pages.sendOne(), await pages.sendOne()]).toEqual(['low 0', 'low 1']);
    pages.request('high', 2);
    expect(await pages.sendOne()).toBe('high 2');
    expect(pages.queue.remainingBytes).toBe(13 * PAGE);
    expect(await pages.sendAll()).toEqual(ALL.filter((page) => !['low 0', 'low 1', 'high 2'].includes(page)));
  });

  test('returns requested pages in the order of the requests', async () => {
    const pages = new Pages();
    pages.request('low', 9);
    pages.request('high', 0);
    pages.request('low', 3);
    expect((await pages.sendAll()).slice(0, 4)).toEqual(['low 9', 'high 0', 'low 3', 'low 0']);
  });

  test('returns all pages of a request that spans two segments', async () => {
    const pages = new Pages();
    pages.request('low', 6, 5);
    expect((await pages.sendAll()).slice(0, 6)).toEqual([...named('low', 6, 11), 'low 0']);
  });

  test('returns a page once if it is requested twice, alone or within a larger request', async () => {
    const pages = new Pages();
    pages.request('low', 2, 4);
    pages.request('low', 2, 4);
    pages.request('low', 3);
    pages.request('low', 4, 3);
    const order = await pages.sendAll();
    expect(order.slice(0, 6)).toEqual([...named('low', 2, 7), 'low 0']);
    expect(order.toSorted()).toEqual(ALL.toSorted());
  });

  test('returns nothing for a page that was sent before', async () => {
    const pages = new Pages();
    await pages.sendAll();
    pages.request('low', 5);
    expect(pages.queue.isPassEnded).toBe(true);
    expect(await pages.sendOne()).toBe(null);
  });

  test('returns a page again if the request demands it, and counts it as remaining until then', async () => {
    const pages = new Pages();
    await pages.sendAll();
    pages.queue.request({ block: 'low', offset: 4 * PAGE, bytes: 2 * PAGE }, { isSentAgain: true });
    expect([pages.queue.isPassEnded, pages.queue.remainingBytes]).toEqual([false, 2 * PAGE]);
    expect(await pages.sendAll()).toEqual(['low 4', 'low 5']);
    expect(pages.queue.remainingBytes).toBe(0);
  });

  test('counts an unsent page once if it is requested again', async () => {
    const pages = new Pages();
    pages.queue.request({ block: 'low', offset: 4 * PAGE, bytes: PAGE }, { isSentAgain: true });
    expect(pages.queue.remainingBytes).toBe(16 * PAGE);
    expect((await pages.sendAll()).toSorted()).toEqual(ALL.toSorted());
  });

  test('returns a requested page that the guest has written since it was sent', async () => {
    const pages = new Pages();
    await pages.sendAll();
    pages.write(1);
    pages.write(6);
    expect(pages.queue.sync()).toBe(2);
    pages.queue.rewind();
    pages.request('low', 6);
    expect(await pages.sendAll()).toEqual(['low 6', 'low 1']);
  });

  test('keeps its requests when the next pass begins', async () => {
    const pages = new Pages();
    pages.request('high', 3);
    pages.queue.rewind();
    expect(await pages.sendOne()).toBe('high 3');
  });

  test('holds at most 1024 requests, and ignores a request for pages that already wait', async () => {
    const many = createGuestMemory([{ name: 'ram', bytes: 2000 * PAGE }]);
    const { ram } = new Sending(many, PLAIN_RECORDS);
    const request = (page: number) => ram.queue.request({ block: 'ram', offset: page * PAGE, bytes: PAGE });
    for (let page = 0; page < 1024; page += 1) request(page);
    request(17);
    expect(() => request(1024)).toThrow('more than 1024 requests for pages wait');
    await ram.send(1);
    request(1024);
  });

  test.each([
    ['of an unknown block', { block: 'none', offset: 0, bytes: PAGE }],
    ['beyond the end of the block', { block: 'high', offset: 3 * PAGE, bytes: 2 * PAGE }],
    ['at an unaligned offset', { block: 'low', offset: 512, bytes: PAGE }],
    ['of an unaligned length', { block: 'low', offset: 0, bytes: 100 }],
    ['without length', { block: 'low', offset: 0, bytes: 0 }],
    ['at a negative offset', { block: 'low', offset: -PAGE, bytes: PAGE }],
  ])('refuses a request %s', (_what, request) => {
    const pages = new Pages();
    expect(() => pages.queue.request(request)).toThrow(RangeError);
    expect(pages.queue.next()).toMatchObject({ block: 0, firstPage: 0, endPage: 8 });
  });
});
