import type { Workload } from '../../domain/ports/hypervisor.ts';
import type { DeviceBody } from './device-bodies.ts';

export const VCPU_FIELDS = [
  { name: 'writes', type: 'uint64', bytes: 8 },
  { name: 'checks', type: 'uint64', bytes: 8 },
  { name: 'cursor', type: 'uint64', bytes: 8 },
  { name: 'sweep', type: 'uint64', bytes: 8 },
  { name: 'random0', type: 'uint32', bytes: 4 },
  { name: 'random1', type: 'uint32', bytes: 4 },
] as const;

/** State of a vCPU: local to its thread during a slice, in the body of its device between slices. */
export type Registers = {
  /** Number of page writes: the sum of the vCPU's ledger entries. */
  writes: number;
  checks: number;
  /** Next page of the `seq` pattern, as an index into the vCPU's pages. */
  cursor: number;
  /** Next item of the sweep. */
  sweep: number;
  random0: number;
  random1: number;
};

/** Extra items in a sweep of vCPU 0: boot page, unused part of the ledger, ledger of the disk. */
export const SWEEP_EXTRAS = 3;

export function initialRegisters(seed: number, vcpu: number): Registers {
  return { writes: 0, checks: 0, cursor: 0, sweep: 0, random0: (seed ^ 0x6a09e667) >>> 0, random1: vcpu + 1 };
}

/** Reads the registers. @throws RangeError if the body, which may come from outside, is invalid for `ownedPages`. */
export function readRegisters(body: DeviceBody, ownedPages: number): Registers {
  const registers = {
    writes: body.read('writes'),
    checks: body.read('checks'),
    cursor: body.readBetween('cursor', 0, ownedPages),
    sweep: body.readBetween('sweep', 0, ownedPages + SWEEP_EXTRAS),
    random0: body.read('random0'),
    random1: body.read('random1'),
  };
  // The generator would stay at this state, and never reaches it.
  if (registers.random0 === 0 && registers.random1 === 0) {
    throw new RangeError('random0 and random1 of a vCPU are both 0');
  }
  return registers;
}

export function writeRegisters(body: DeviceBody, registers: Registers): void {
  body.write('writes', registers.writes);
  body.write('checks', registers.checks);
  body.write('cursor', registers.cursor);
  body.write('sweep', registers.sweep);
  body.write('random0', registers.random0);
  body.write('random1', registers.random1);
}

const HOT_SHARE = 7 / 8;
const HOT_PART = 1 / 8;

/**
 * Picks the next of a vCPU's `count` pages to write: `seq` in order, `random` any page, `hot` in seven of eight cases a
 * page of the first eighth. @returns an index below `count`, which is at least 1.
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

/**
 * xoroshiro64**: a number from 0 to below 1. Its state is in the registers, so a migrated guest draws the same numbers.
 */
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
