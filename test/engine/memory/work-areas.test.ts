import { expect, test } from 'vitest';
import { createGuestMemory, kernelsOf, type SegmentKernels } from '../../../src/engine/memory/guest-memory.ts';
import {
  MIGRATION_BITMAP_ADDRESS,
  PAGE_BYTES,
  RAM_ADDRESS,
  WORK_AREA,
  type WorkArea,
  WRITTEN_BITMAP_ADDRESS,
} from '../../../src/engine/memory/layout.ts';
import { InputBuffer } from '../../../src/engine/pages/input-buffer.ts';
import { InputWindow } from '../../../src/engine/snapshot/worker/stream-window.ts';

const PAGES = 8;

/** A segment in which every page is filled with its number plus 1, and is to be sent. */
function segmentOfPages() {
  const memory = createGuestMemory([{ name: 'ram', bytes: PAGES * PAGE_BYTES }]);
  const segment = memory.segments[0]!;
  const bytes = new Uint8Array(segment.buffer as SharedArrayBuffer);
  for (let page = 0; page < PAGES; page += 1) {
    bytes.fill(page + 1, RAM_ADDRESS + page * PAGE_BYTES, RAM_ADDRESS + (page + 1) * PAGE_BYTES);
  }
  bytes[MIGRATION_BITMAP_ADDRESS] = 255;
  bytes[WRITTEN_BITMAP_ADDRESS] = 255;
  return { memory, segment, bytes };
}

/** Encodes pages into the staging area of a worker, with the block name in its scratch area. */
function encode({ kernels }: SegmentKernels, { scratch, staging }: WorkArea, [first, end]: readonly [number, number]) {
  return kernels.encodePages(first, end, 0n, staging, staging + 2 ** 20, scratch, 3, 1, PAGES);
}

test('two workers encode pages of one segment without a change of the records, names or results of the other', () => {
  const { memory, bytes } = segmentOfPages();
  const { transfer, block } = WORK_AREA;
  const [one, other] = [kernelsOf(memory, transfer)[0]!, kernelsOf(memory, block)[0]!];
  bytes.set(Buffer.from('one'), transfer.scratch);
  bytes.set(Buffer.from('two'), block.scratch);
  encode(one, transfer, [0, 3]);
  const results = [one.results.get(0), one.results.get(1), one.results.get(2)];
  const records = bytes.slice(transfer.staging, transfer.staging + results[0]!);
  encode(other, block, [3, 8]);
  expect([one.results.get(0), one.results.get(1), one.results.get(2)]).toEqual(results);
  expect([results[1], other.results.get(1)]).toEqual([3, 5]);
  expect(bytes.slice(transfer.staging, transfer.staging + results[0]!)).toEqual(records);
  const nameIn = (staging: number) => Buffer.from(bytes.slice(staging + 9, staging + 12)).toString();
  expect([nameIn(transfer.staging), nameIn(block.staging)]).toEqual(['one', 'two']);
  expect([bytes[transfer.staging + 12], bytes[block.staging + 12]]).toEqual([1, 4]);
});

test('the input of a migration and the input of a load wait in one segment at the same time', () => {
  const { segment } = segmentOfPages();
  const migration = new InputBuffer();
  const load = new InputWindow();
  migration.room().set([1, 2, 3]);
  migration.received(3);
  load.slot(0).set([7, 8, 9, 10]);
  load.filled(0, load.slot(0).subarray(0, 4));
  migration.moveTo(segment);
  load.moveTo(segment);
  expect([...migration.view()]).toEqual([1, 2, 3]);
  expect([...load.view()]).toEqual([7, 8, 9, 10]);
});
