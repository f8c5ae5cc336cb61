import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { cachedPages, ReadRate } from '../../src/block/file-calls.ts';
import { openBlockFile } from '../../src/block/image-file.ts';
import { MIB, temporaryFolder } from './images.ts';

/** Bytes that start at a page boundary, like those of a guest's staging area. */
function pages(bytes: number): Uint8Array<SharedArrayBuffer> {
  const wasmPages = Math.ceil(bytes / 65536);
  const memory = new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages, shared: true });
  const view = new Uint8Array(memory.buffer as SharedArrayBuffer, 0, bytes);
  for (let index = 0; index < bytes; index += 1) view[index] = (index * 31 + (index >> 12)) % 256;
  return view;
}

async function newFile(content: Uint8Array = new Uint8Array()) {
  const path = join(temporaryFolder(), 'file');
  writeFileSync(path, content);
  const file = await openBlockFile(path, { readOnly: false });
  onTestFinished(() => file.close());
  return { path, file };
}

/** Pages of the file that are in the page cache. */
function cached(path: string, offset: number, bytes: number): number | null {
  const fd = openSync(path, 'r');
  try {
    return cachedPages(fd, { offset, bytes });
  } finally {
    closeSync(fd);
  }
}

/** The folder must be on a disk, since a file system in memory is only page cache. */
const canTell = cached(process.execPath, 0, 4096) !== null;

test.skipIf(!canTell)('a large aligned write is in the file and not in the page cache', async () => {
  const { path, file } = await newFile();
  const content = pages(MIB);
  await file.write(0, content);
  expect(cached(path, 0, MIB)).toBe(0);
  expect(file.bytes).toBe(MIB);
  expect(readFileSync(path).equals(content)).toBe(true);
});

test.skipIf(!canTell)('a large aligned read does not cache uncached data, and uses cached data', async () => {
  const { path, file } = await newFile();
  const content = pages(MIB);
  await file.write(0, content);
  const into = pages(MIB).fill(0);
  await file.read(0, into);
  expect(Buffer.from(into).equals(content)).toBe(true);
  expect(cached(path, 0, MIB)).toBe(0);
  readFileSync(path);
  expect(cached(path, 0, MIB)).toBe(MIB / 4096);
  // Changed in the cache only: a direct read must also return the change.
  await file.write(4096, Buffer.alloc(100, 7));
  await file.read(0, into);
  expect(Buffer.from(into.slice(4096, 4196)).equals(Buffer.alloc(100, 7))).toBe(true);
});

test('unaligned data goes through the page cache to the same place', async () => {
  const { path, file } = await newFile();
  const content = pages(2 * MIB);
  await file.write(0, content.subarray(0, MIB));
  await file.write(MIB, content.subarray(1, MIB));
  await file.write(MIB - 1, content.subarray(0, 300_000));
  const expected = Buffer.concat([content.slice(0, MIB), content.slice(1, MIB)]);
  expected.set(content.slice(0, 300_000), MIB - 1);
  expect(readFileSync(path).equals(expected)).toBe(true);
  const into = pages(MIB).fill(0);
  await file.read(MIB - 1, into.subarray(1));
  expect(Buffer.from(into.slice(1)).equals(expected.subarray(MIB - 1, 2 * MIB - 2))).toBe(true);
});

test('a read after the end of the file is filled with zeros', async () => {
  const { file } = await newFile();
  await file.write(0, pages(MIB));
  const into = pages(MIB).fill(9);
  await file.read(MIB / 2, into);
  expect(Buffer.from(into.slice(0, MIB / 2)).equals(Buffer.from(pages(MIB).slice(MIB / 2)))).toBe(true);
  expect(into.slice(MIB / 2).every((byte) => byte === 0)).toBe(true);
});

/** A rate with a clock of the test: each read takes the given milliseconds. */
function make() {
  let nowMs = 0;
  const rate = new ReadRate(() => nowMs);
  const read = (bytes: number, ms: number) =>
    rate.measure(async () => {
      nowMs += ms;
      return bytes;
    });
  return { rate, read };
}

test('the speed of a disk is not derived from its first bytes', async () => {
  const { rate, read } = make();
  await read(MIB, 1000);
  expect(rate.isSlow).toBe(false);
});

test('a disk with half a gigabyte per second is not slow, and a slower one is', async () => {
  const fast = make();
  await fast.read(50_000_000, 100);
  expect(fast.rate.isSlow).toBe(false);
  const slow = make();
  await slow.read(50_000_000, 101);
  expect(slow.rate.isSlow).toBe(true);
});

test('concurrent reads count their common time once', async () => {
  const { rate, read } = make();
  await Promise.all([read(25_000_000, 50), read(25_000_000, 50)]);
  expect(rate.isSlow).toBe(false);
});

test('a failed read counts no bytes', async () => {
  const { rate, read } = make();
  await read(50_000_000, 90);
  await expect(rate.measure(() => Promise.reject(new Error('EIO')))).rejects.toThrow('EIO');
  expect(rate.isSlow).toBe(false);
});
