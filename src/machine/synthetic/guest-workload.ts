import type { Workload } from '../../domain/ports/hypervisor.ts';
import type { DeviceBody } from './device-bodies.ts';

/** Content of RAM at the start. `quarter`: random in the last quarter, zero in the rest. */
export const GUEST_FILLS = ['quarter', 'zero', 'text', 'random'] as const;
export type GuestFill = (typeof GUEST_FILLS)[number];

/** Workload of a synthetic guest, and the content of its RAM at the start. */
export type SyntheticWorkload = Workload & {
  readonly fill: GuestFill;
  /** Bytes/s that the sweep checks, for all vCPUs together; `auto`: depends on the rate. */
  readonly check: number | 'auto';
};

/** Bytes/s; far above the speed of a vCPU thread, and low enough for exact products. */
export const WORKLOAD_RATE_MAX = 2 ** 40;

const PATTERNS = ['hot', 'seq', 'random'] as const;
const CHECK_AUTO = Number.MAX_SAFE_INTEGER;

export const WORKLOAD_FIELDS = [
  { name: 'rate', type: 'uint64', bytes: 8 },
  { name: 'span', type: 'uint64', bytes: 8 },
  { name: 'check', type: 'uint64', bytes: 8 },
  { name: 'seed', type: 'uint32', bytes: 4 },
  { name: 'pattern', type: 'uint8', bytes: 1 },
  { name: 'fill', type: 'uint8', bytes: 1 },
] as const;

/** A workload, and the seed of the guest's content. */
export type WorkloadState = { readonly workload: SyntheticWorkload; readonly seed: number };

/** Reads the workload. @throws RangeError if the body, which may come from outside, is invalid for `ramBytes`. */
export function readWorkload(body: DeviceBody, ramBytes: number): WorkloadState {
  const check = body.read('check');
  const pattern = PATTERNS[body.readBetween('pattern', 1, PATTERNS.length) - 1] ?? 'hot';
  const fill = GUEST_FILLS[body.readBetween('fill', 1, GUEST_FILLS.length) - 1] ?? 'quarter';
  const workload: SyntheticWorkload = {
    rate: body.read('rate'),
    span: body.read('span'),
    pattern,
    fill,
    check: check === CHECK_AUTO ? 'auto' : check,
  };
  assertWorkload(workload, ramBytes);
  return { workload, seed: body.read('seed') };
}

/** Writes the workload. Another thread may read at the same time: each field is written at once. */
export function writeWorkload(body: DeviceBody, { workload, seed }: WorkloadState): void {
  body.write('rate', workload.rate);
  body.write('span', workload.span);
  body.write('check', workload.check === 'auto' ? CHECK_AUTO : workload.check);
  body.write('seed', seed);
  body.write('pattern', PATTERNS.indexOf(workload.pattern) + 1);
  body.write('fill', GUEST_FILLS.indexOf(workload.fill) + 1);
}

/** @throws RangeError with the member, its value and the allowed values. */
export function assertWorkload(workload: SyntheticWorkload, ramBytes: number): void {
  assertWhole('rate', workload.rate, WORKLOAD_RATE_MAX);
  assertWhole('span', workload.span, ramBytes);
  if (workload.check !== 'auto') assertWhole('check', workload.check, WORKLOAD_RATE_MAX);
  if (!PATTERNS.includes(workload.pattern)) {
    throw new RangeError(`the workload's pattern is ${workload.pattern}; allowed are ${PATTERNS.join(', ')}`);
  }
  if (!GUEST_FILLS.includes(workload.fill)) {
    throw new RangeError(`the workload's fill is ${workload.fill}; allowed are ${GUEST_FILLS.join(', ')}`);
  }
}

function assertWhole(name: string, value: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= most) return;
  throw new RangeError(`the workload's ${name} is ${value}; allowed are whole numbers from 0 to ${most}`);
}

/** Longest time of work that is made up for after a stall. */
const DEBT_MS_MAX = 20;

/** Computes how many pages are due at a rate, without a burst after a stall. */
export class Pacer {
  #pagesPerMs = 0;
  #owed = 0;
  readonly #debtMsMax: number;

  constructor(debtMsMax = DEBT_MS_MAX) {
    this.#debtMsMax = debtMsMax;
  }

  set pagesPerMs(rate: number) {
    this.#pagesPerMs = rate;
  }

  /** Lets time pass. @returns whole pages now due. */
  advance(elapsedMs: number): number {
    const most = Math.max(2, this.#pagesPerMs * this.#debtMsMax);
    this.#owed = Math.min(most, this.#owed + elapsedMs * this.#pagesPerMs);
    return Math.floor(this.#owed);
  }

  done(pages: number): void {
    this.#owed -= pages;
  }

  /** Milliseconds until a page is due; Infinity at rate 0. */
  get untilDueMs(): number {
    if (this.#pagesPerMs === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, (1 - this.#owed) / this.#pagesPerMs);
  }
}

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

/** Sets the registers of a vCPU before its first slice. */
export function bootRegisters(body: DeviceBody, seed: number, vcpu: number): void {
  writeRegisters(body, initialRegisters(seed, vcpu));
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
