import { expect, test } from 'vitest';
import type { FileCall } from '../../../src/block/image.ts';
import { DISK_STALL_MS, watchForStalls } from '../../../src/engine/snapshot/block-worker.ts';

const STALL_MS = 60;

/** The report of a disk with a hanging call among others, and its time. */
function watched(hanging: FileCall): Promise<{ readonly what: string; readonly tookMs: number }> {
  const began = performance.now();
  const underWay = new Set<FileCall>([hanging]);
  const busy = setInterval(() => {
    for (const call of underWay) if (call !== hanging) underWay.delete(call);
    underWay.add({ doing: 'reading', position: 0, bytes: 1 });
  }, 1);
  return new Promise((resolve) => {
    watchForStalls([{ name: 'disk0', image: { underWay } }], STALL_MS, (what) => {
      clearInterval(busy);
      resolve({ what, tookMs: performance.now() - began });
    });
  });
}

test('a call that does not end is reported with its disk, and not before its time limit', async () => {
  const { what, tookMs } = await watched({ doing: 'writing', position: 65536, bytes: 4096 });
  expect(what).toBe('the disk of node disk0 does not answer: writing 4096 bytes at 65536 did not end within 60 ms');
  expect(tookMs).toBeGreaterThanOrEqual(STALL_MS);
});

test('a flush has a time limit that is ten times as long', async () => {
  const { what, tookMs } = await watched({ doing: 'flushing', position: 0, bytes: 0 });
  expect(what).toBe('the disk of node disk0 does not answer: flushing did not end within 600 ms');
  expect(tookMs).toBeGreaterThanOrEqual(10 * STALL_MS);
});

test('nothing is reported after the watch has ended', async () => {
  const hanging: FileCall = { doing: 'cutting', position: 0, bytes: 0 };
  const told: string[] = [];
  const node = { name: 'disk0', image: { underWay: [hanging] } };
  watchForStalls([node], STALL_MS, (what) => told.push(what))();
  // Another watch, which started later, has reported it meanwhile.
  await watched(hanging);
  expect(told).toEqual([]);
});

test('the default time limit of a call is one minute', () => {
  expect(DISK_STALL_MS).toBe(60_000);
});
