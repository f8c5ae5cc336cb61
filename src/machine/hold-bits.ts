import type { HOLD, HoldReason } from '../domain/ports.ts';

/** The bits of the vCPU control word. Typed by the domain's table, so that the two cannot differ. */
export const HOLD_BITS: typeof HOLD = { operator: 1, migration: 2, incoming: 4, panic: 8, snapshot: 16, shutdown: 32 };

/** All of `reasons` in one word. */
export function holdBits(reasons: readonly HoldReason[]): number {
  return reasons.reduce((bits, reason) => bits | HOLD_BITS[reason], 0);
}
