import type { Workload } from '../../domain/ports/hypervisor.ts';
import type { DeviceBody } from './device-body.ts';

/** What RAM holds at the start: `quarter` is random in the last quarter and zero in the rest. */
export const GUEST_FILLS = ['quarter', 'zero', 'text', 'random'] as const;
export type GuestFill = (typeof GUEST_FILLS)[number];

/** What a synthetic guest does, and what it was started with. */
export type SyntheticWorkload = Workload & {
  readonly fill: GuestFill;
  /** Bytes/s that the steady sweep reads and checks, all vCPUs together; `auto` follows the rate. */
  readonly check: number | 'auto';
};

/** Bytes/s; far above what a vCPU thread can do, and low enough that products stay exact. */
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

/** A workload with the seed that the guest's content was made from. */
export type WorkloadState = { readonly workload: SyntheticWorkload; readonly seed: number };

/** @throws RangeError if the body, which may come from outside, holds what no guest of `ramBytes` could have. */
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

/** Reader and writer may be different threads: each field is written at once. */
export function writeWorkload(body: DeviceBody, { workload, seed }: WorkloadState): void {
  body.write('rate', workload.rate);
  body.write('span', workload.span);
  body.write('check', workload.check === 'auto' ? CHECK_AUTO : workload.check);
  body.write('seed', seed);
  body.write('pattern', PATTERNS.indexOf(workload.pattern) + 1);
  body.write('fill', GUEST_FILLS.indexOf(workload.fill) + 1);
}

/** @throws RangeError with the member, its value and what is allowed. */
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
