/** Why vCPUs stand still; a bit each, and they run only while none is set. */
export const HOLD = { operator: 1, migration: 2, incoming: 4, panic: 8, snapshot: 16, shutdown: 32 } as const;
export type HoldReason = keyof typeof HOLD;
