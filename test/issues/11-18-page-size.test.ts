// Machines of some architectures have another page size than 4 KiB (256 bytes to 64 KiB), and most of their streams
// do not name the size in the configuration. The low bits of the address word of a record are flags below the page
// size. Therefore:
// - larger pages without contents looked like every second (fourth, …) page of 4 KiB, and were accepted;
// - larger pages with contents were cut after 4096 bytes, and the rest was read as records ("unknown flags 0x…");
// - smaller pages have address bits among the supposed flags ("unknown flags 0x422").
// Now the reader checks the size first: by these bits, by the bytes after the first page with contents, by the
// alignment of all offsets, and by `page_size` of the vmdescription.

import { describe, expect, it } from 'vitest';
import { imagePlan, read } from '../engine/stream/reading.ts';
import {
  configuration,
  description,
  EOF,
  footer,
  globalState,
  magic,
  ramStart,
  str8,
  subsection,
  u8,
  u32,
  u64,
} from '../engine/stream/stream-builder.ts';

const RAM_BYTES = 512 * 1024;

type Shape = {
  readonly pageBytes: number;
  /** Numbers of the pages with contents; all others are zero. */
  readonly contents: readonly number[];
  /** The content of a page with contents. */
  readonly fill?: (at: number) => number;
  readonly describe?: 'size' | 'no size' | 'none';
  readonly inOnePart?: boolean;
  readonly named?: Buffer;
};

/** A complete stream of a machine with pages of any size, in the order of QEMU for a stopped guest. */
function streamOf({
  pageBytes,
  contents,
  fill = (at) => at * 7 + 3,
  describe: kind = 'size',
  ...shape
}: Shape): Buffer {
  const records: Buffer[] = [];
  for (let number = 0; number * pageBytes < RAM_BYTES; number++) {
    const name = number === 0 ? str8('board.ram') : Buffer.alloc(0);
    const isZero = !contents.includes(number);
    const flags = (isZero ? 2 : 8) | (number === 0 ? 0 : 0x20);
    const body = isZero ? u8(0) : Buffer.from(Array.from({ length: pageBytes }, (_, at) => fill(at) & 0xff));
    records.push(u64(number * pageBytes + flags), name, body);
  }
  const cut = shape.inOnePart === true ? records.length : 6;
  const part = (type: number, some: readonly Buffer[]) =>
    Buffer.concat([u8(type), u32(2), ...some, u64(0x10), footer(2)]);
  const json = {
    ...(kind === 'size' ? { page_size: pageBytes } : {}),
    devices: [
      { name: 'globalstate', instance_id: 0, version: 1, fields: [{ name: 'all', type: 'buffer', size: 104 }] },
    ],
  };
  return Buffer.concat([
    magic(),
    shape.named ?? configuration('board'),
    ramStart(2, [{ name: 'board.ram', bytes: RAM_BYTES }]),
    part(2, records.slice(0, cut)),
    part(3, records.slice(cut)),
    globalState(3),
    EOF,
    ...(kind === 'none' ? [] : [description(json)]),
  ]);
}

/** Reads a stream in large and in odd pieces. @returns the code of the error and its text, the same for both. */
function outcome(stream: Buffer): { readonly code: string | undefined; readonly text: string } {
  const [whole, pieces] = [read(stream, imagePlan()), read(stream, imagePlan(), [1, 4099, 17])];
  expect(pieces.error?.message).toBe(whole.error?.message);
  expect(whole.loaded === null).toBe(whole.error !== null);
  return { code: whole.error?.code, text: whole.error?.message ?? '' };
}

const OTHER_SIZES = [256, 512, 1024, 2048, 8192, 16384, 65536];
const CONTENTS: readonly [string, readonly number[]][] = [
  ['the first page has contents', [0]],
  ['a later page has contents', [3]],
  ['several pages in a row have contents', [1, 2, 3]],
  ['the last page alone has contents', [RAM_BYTES - 1]],
  ['no page has contents', []],
];

describe.each(OTHER_SIZES)('a stream with pages of %d bytes', (pageBytes) => {
  const size = new RegExp(`pages of ${pageBytes} bytes; pages of 4096 bytes`);

  it.each(CONTENTS)('is refused because of the page size if %s', (_what, numbers) => {
    const contents = numbers.map((number) => Math.min(number, RAM_BYTES / pageBytes - 1));
    for (const inOnePart of [true, false]) {
      const { code, text } = outcome(streamOf({ pageBytes, contents, inOnePart }));
      expect(code).toBe('page_size_differs');
      expect(text).toMatch(size);
    }
  });

  it('is refused because of the page size with any contents, and without a vmdescription', () => {
    for (const fill of [() => 0x28, () => 0xff, () => 1]) {
      for (const contents of [[0], [5]]) {
        expect(outcome(streamOf({ pageBytes, contents, fill, describe: 'none' })).code).toBe('page_size_differs');
      }
    }
    const likeRecords = streamOf({ pageBytes, contents: [2], fill: (at) => (at % 8 === 7 ? 0x28 : 0) });
    expect(read(likeRecords, imagePlan()).error?.code).toBe('page_size_differs');
    expect(outcome(streamOf({ pageBytes, contents: [], describe: 'none' })).code).toBe('page_size_differs');
    expect(outcome(streamOf({ pageBytes, contents: [], describe: 'no size' })).code).toBe('page_size_differs');
  });
});

describe('a stream with pages of 4096 bytes', () => {
  it.each(CONTENTS)('is accepted if %s', (_what, numbers) => {
    const contents = numbers.map((number) => Math.min(number, RAM_BYTES / 4096 - 1));
    for (const fill of [() => 0x28, (at: number) => (at % 4096 === 1031 ? 0x28 : 0), (at: number) => at]) {
      for (const kind of ['size', 'no size', 'none'] as const) {
        expect(outcome(streamOf({ pageBytes: 4096, contents, fill, describe: kind })).code).toBeUndefined();
      }
    }
  });

  it('is refused if its configuration or its vmdescription has another page size', () => {
    const bits = subsection('configuration/target-page-bits', u32(13));
    const named = streamOf({ pageBytes: 4096, contents: [], named: configuration('board', bits) });
    expect(outcome(named).code).toBe('page_size_differs');
    const whole = streamOf({ pageBytes: 4096, contents: [1] }).toString('latin1');
    const wrong = Buffer.from(whole.replace('"page_size":4096', '"page_size":8192'), 'latin1');
    expect(outcome(wrong).code).toBe('page_size_differs');
  });

  it('is refused with another error if a record is invalid for another reason', () => {
    const stream = streamOf({ pageBytes: 4096, contents: [3], inOnePart: true });
    const record = stream.lastIndexOf(u64(4 * 4096 + 0x22));
    stream.writeUInt16BE(0xf000 | 0x44, record + 6);
    expect(outcome(stream)).toMatchObject({ code: 'ram_record_broken', text: expect.stringContaining('0x44') });
  });
});
