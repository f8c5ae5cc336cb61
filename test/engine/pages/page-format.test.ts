import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import { DIRTY_LOG_ADDRESS, RAM_ADDRESS } from '../../../src/engine/memory/layout.ts';
import type { GuestMemory } from '../../../src/engine/memory/machine-state.ts';
import { PLAIN_RECORDS } from '../../../src/engine/pages/formats/plain-records.ts';
import { InputBuffer } from '../../../src/engine/pages/input-buffer.ts';
import type { PageFormat } from '../../../src/engine/pages/page-format.ts';
import { pageFormatFor } from '../../../src/engine/pages/page-formats.ts';
import { RamSection } from '../../../src/engine/pages/ram-section.ts';
import { ByteReader, StreamError } from '../../../src/engine/stream/bytes.ts';
import { encodeRamSetup } from '../../../src/engine/stream/ram-setup.ts';
import { encodeFooter, encodeSectionHead } from '../../../src/engine/stream/stream-elements.ts';
import { packetFormat } from './packet-format.ts';
import { PAGE, Sending } from './sending.ts';

const BLOCKS = [
  { name: 'pc.ram', bytes: 40 * PAGE },
  { name: 'vga.vram', bytes: 9 * PAGE },
];
/** The first block lies in three segments, the second one behind it in the last of these and a fourth. */
const SEGMENT_BYTES = 16 * PAGE;
const EOS = Buffer.from('0000000000000010', 'hex');
const FORMATS: readonly (readonly [string, PageFormat])[] = [
  ['plain records', PLAIN_RECORDS],
  ['packets of a test', packetFormat(BLOCKS.map(({ name }) => name))],
];

function filledMemory(seed: number): GuestMemory {
  const memory = createGuestMemory(BLOCKS, SEGMENT_BYTES);
  fill(memory, seed, (page) => page % 5 !== 3);
  return memory;
}

/** Writes pages, which are counted from the start of each segment, with bytes that follow from their place and `seed`. */
function fill(memory: GuestMemory, seed: number, isFilled: (page: number) => boolean): void {
  for (const { segment, address, bytes } of memory.blocks.flatMap((block) => block.extents)) {
    const all = new Uint8Array(memory.segments[segment]?.buffer ?? new ArrayBuffer());
    for (let at = address; at < address + bytes; at += PAGE) {
      const page = (at - RAM_ADDRESS) / PAGE;
      if (!isFilled(page)) continue;
      all.fill(1 + ((seed + segment * 31 + page * 7) % 250), at, at + PAGE);
      all[DIRTY_LOG_ADDRESS + (page >> 3)]! |= 1 << (page & 7);
    }
  }
}

function digest(memory: GuestMemory): string {
  const hash = createHash('sha256');
  for (const { extents } of memory.blocks) {
    for (const { segment, address, bytes } of extents) {
      hash.update(new Uint8Array(memory.segments[segment]?.buffer ?? new ArrayBuffer(), address, bytes).slice());
    }
  }
  return hash.digest('hex');
}

/** A target that has read the START of the ram section and waits for the records of a PART. */
function openTarget(format: PageFormat) {
  const memory = createGuestMemory(BLOCKS, SEGMENT_BYTES);
  const input = new InputBuffer();
  const section = new RamSection({ form: 'devices', machineName: 'm', memory, devices: [] }, input, format);
  const head = { sectionId: 2, idstr: 'ram', instanceId: 0, versionId: 4 };
  const start = Buffer.concat([encodeSectionHead('start', head), encodeRamSetup(BLOCKS), encodeFooter(2)]);
  section.start(new ByteReader(start.subarray(1)))();
  section.reopen(false, 2)();
  return { memory, input, section };
}

/** Feeds the target with pieces of `pieceBytes`. @returns whether the body of the section has ended. */
function feed({ input, section }: ReturnType<typeof openTarget>, bytes: Buffer, pieceBytes: number): boolean {
  let isEnded = false;
  for (let at = 0; at < bytes.length && !isEnded; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    input.room().set(piece);
    input.received(piece.length);
    isEnded = section.receive();
  }
  return isEnded;
}

describe.each(FORMATS)('a page format (%s)', (_name, format) => {
  test.each([1 << 20, 4099, 13])(
    'carries all pages of a source to a target that reads %i bytes at a time',
    async (pieceBytes) => {
      const source = filledMemory(1);
      const sending = new Sending(source, format);
      let pages = 0;
      while (!sending.ram.queue.isPassEnded) {
        const { normal, zero } = await sending.ram.send(3 * PAGE);
        pages += normal + zero;
      }
      expect(pages).toBe(49);
      expect(sending.ram.queue.remainingBytes).toBe(0);
      await sending.staging.put(EOS);

      const target = openTarget(format);
      expect(feed(target, sending.sent(), pieceBytes)).toBe(true);
      expect(digest(target.memory)).toBe(digest(source));
      expect(target.section.pages.normal + target.section.pages.zero).toBe(49);
      expect(target.section.milestone).toBeGreaterThan(50);
      expect(target.input.length).toBe(0);
    },
  );

  test('carries pages that were written again in a later pass', async () => {
    const source = filledMemory(1);
    const sending = new Sending(source, format);
    while (!sending.ram.queue.isPassEnded) await sending.ram.send(PAGE);
    fill(source, 2, (page) => page % 11 === 2);
    const found = sending.ram.queue.sync();
    sending.ram.queue.rewind();
    let pages = 0;
    while (!sending.ram.queue.isPassEnded) pages += (await sending.ram.send(2 ** 20)).normal;
    expect([found, pages]).toEqual([6, 6]);
    await sending.staging.put(EOS);

    const target = openTarget(format);
    expect(feed(target, sending.sent(), 2 ** 20)).toBe(true);
    expect(digest(target.memory)).toBe(digest(source));
  });

  test('refuses the records of another format, or finds no end in them', async () => {
    const sending = new Sending(filledMemory(1), format);
    await sending.ram.send(2 ** 20);
    const bytes = sending.sent();
    for (const [, other] of FORMATS.filter(([, candidate]) => candidate !== format)) {
      expect(() => feed(openTarget(other), bytes, 2 ** 20)).toThrow(StreamError);
    }
  });
});

test('migrations without a capability that changes pages use plain records', () => {
  expect(pageFormatFor([])).toBe(PLAIN_RECORDS);
  expect(pageFormatFor(['return-path', 'validate-uuid'])).toBe(PLAIN_RECORDS);
});
