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
