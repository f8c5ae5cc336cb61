import type { Workload } from '../../domain/ports/hypervisor.ts';
import type { Registers } from './registers.ts';

const HOT_SHARE = 7 / 8;
const HOT_PART = 1 / 8;

/**
 * Picks the next of a vCPU's `count` pages to write: `seq` one after the other, `random` any, `hot` seven times out of
 * eight one of the first eighth. @returns an index below `count`, which is at least 1.
 */
export function pickPage(registers: Registers, pattern: Workload['pattern'], count: number): number {
  if (pattern === 'seq') {
    const index = registers.cursor < count ? registers.cursor : 0;
    registers.cursor = index + 1 < count ? index + 1 : 0;
    return index;
  }
  const isHot = pattern === 'hot' && nextFraction(registers) < HOT_SHARE;
  return Math.floor(nextFraction(registers) * (isHot ? Math.max(1, Math.floor(count * HOT_PART)) : count));
}

/** xoroshiro64**: from 0 to below 1, from the vCPU's registers, so that a migrated guest draws the same numbers. */
function nextFraction(registers: Registers): number {
  const s0 = registers.random0;
  const s1 = registers.random1 ^ s0;
  const value = Math.imul(rotate(Math.imul(s0, 0x9e3779bb), 5), 5) >>> 0;
  registers.random0 = (rotate(s0, 26) ^ s1 ^ (s1 << 9)) >>> 0;
  registers.random1 = rotate(s1, 13) >>> 0;
  return value / 2 ** 32;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
