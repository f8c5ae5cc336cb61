import { expect, test } from 'vitest';
import { ReadRate } from '../../src/block/read-rate.ts';

const MIB = 2 ** 20;

/** A rate whose clock the test turns: each read takes the milliseconds given. */
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

test('a disk is not judged by its first bytes', async () => {
  const { rate, read } = make();
  await read(MIB, 1000);
  expect(rate.isSlow).toBe(false);
});

test('a disk that gives half a gigabyte a second is not slow, and one that gives less is', async () => {
  const fast = make();
  await fast.read(50_000_000, 100);
  expect(fast.rate.isSlow).toBe(false);
  const slow = make();
  await slow.read(50_000_000, 101);
  expect(slow.rate.isSlow).toBe(true);
});

test('reads side by side share their time', async () => {
  const { rate, read } = make();
  await Promise.all([read(25_000_000, 50), read(25_000_000, 50)]);
  expect(rate.isSlow).toBe(false);
});

test('a read that failed brought nothing', async () => {
  const { rate, read } = make();
  await read(50_000_000, 90);
  await expect(rate.measure(() => Promise.reject(new Error('EIO')))).rejects.toThrow('EIO');
  expect(rate.isSlow).toBe(false);
});
