import type { HoldReason } from '../../domain/ports/hypervisor.ts';

/** A bit for each reason why vCPUs stand still; they run only while none is set. */
export const HOLD = {
  operator: 1,
  migration: 2,
  incoming: 4,
  panic: 8,
  snapshot: 16,
  shutdown: 32,
} as const satisfies Record<HoldReason, number>;

/** The bits of several reasons. */
export function holdBits(reasons: readonly HoldReason[]): number {
  return reasons.reduce((bits, reason) => bits | HOLD[reason], 0);
}
