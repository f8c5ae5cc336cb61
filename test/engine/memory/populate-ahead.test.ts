import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import type { GuestMemory } from '../../../src/engine/memory/machine-state.ts';
import { PopulateAhead } from '../../../src/engine/memory/memory-advice.ts';

const MEBIBYTE = 2 ** 20;
const PAGES_PER_MEBIBYTE = 256;

const fresh = (mebibytes: number): GuestMemory => createGuestMemory([{ name: 'ram', bytes: mebibytes * MEBIBYTE }]);

/** The resident memory of this process, in bytes. */
function residentBytes(): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}

/** By how many MiB the process grows while pages come; each step says how many had come, and waits for the call. */
async function growth(memory: GuestMemory, steps: readonly { normal: number; zero: number }[]): Promise<number> {
  const populate = new PopulateAhead();
  populate.follow(null, { normal: 0, zero: 0 });
  const before = residentBytes();
  for (const pages of steps) {
    populate.follow(memory, pages);
    await populate.idle();
  }
  return (residentBytes() - before) / MEBIBYTE;
}

const full = (mebibytes: number) => ({ normal: mebibytes * PAGES_PER_MEBIBYTE, zero: 0 });

test('memory is populated before the pages arrive, at most 128 MiB ahead', async () => {
  const once = await growth(fresh(256), [full(1)]);
  expect(once).toBeGreaterThan(12);
  expect(once).toBeLessThan(32);
  const steps = Array.from({ length: 20 }, (_, index) => ({ normal: PAGES_PER_MEBIBYTE + index, zero: 0 }));
  const often = await growth(fresh(256), steps);
  expect(often).toBeGreaterThan(110);
  expect(often).toBeLessThan(160);
});

test('populated memory contains zeros, and earlier contents are unchanged', async () => {
  const memory = fresh(32);
  const { segment, address } = memory.blocks[0]!.extents[0]!;
  const ram = new Uint8Array(memory.segments[segment]!.buffer, address, 32 * MEBIBYTE);
  ram[3 * MEBIBYTE] = 7;
  await growth(memory, [full(1), full(17), full(31)]);
  expect(ram[3 * MEBIBYTE]).toBe(7);
  expect(ram.reduce((sum, byte) => sum + byte, 0)).toBe(7);
});

test('no memory is populated for zero pages', async () => {
  const half = (mebibytes: number) => ({ normal: mebibytes * 128, zero: mebibytes * 128 });
  expect(await growth(fresh(128), [half(1), half(8), half(64)])).toBeLessThan(6);
});

test('nothing is populated after the end of RAM', async () => {
  expect(await growth(fresh(8), [full(8), full(9)])).toBeLessThan(6);
});
