/* What can be measured and limited of the memory that a guest dirties, as the domain needs it from a machine. */

export type DirtyRateMode = 'page-sampling' | 'dirty-ring' | 'dirty-bitmap';

export type DirtyRatePlan = {
  readonly mode: DirtyRateMode;
  readonly calcTimeMs: number;
  /** Pages that are looked at for each GiB of RAM; for page-sampling only. */
  readonly samplePages: number;
};

/** What was found; bytes of pages that became dirty, each as often as the mode sees it. */
export type DirtyRateFigures = {
  /** How long was really looked. */
  readonly elapsedMs: number;
  readonly bytes: number;
  /** By vCPU, in dirty-ring mode; empty in the others. */
  readonly bytesByVcpu: readonly number[];
};

export interface DirtyPort {
  /** Pages that the dirty ring of each vCPU holds; null for a machine without rings. */
  readonly ringEntries: number | null;
  /** One at a time; without a ring never in dirty-ring mode. Rejects with the signal's reason when it aborts. */
  measure(plan: DirtyRatePlan, signal: AbortSignal): Promise<DirtyRateFigures>;
  /** Holds a vCPU to so many MiB/s, or to nothing (null). For a machine with rings. */
  limit(vcpu: number, mibPerSecond: number | null): void;
  /** Bytes/s that each vCPU dirtied in about the last second; zeros while none is limited. */
  currentRates(): readonly number[];
  /** The part of about the last second, 0 to 1, for which its limit let each vCPU write nothing; zeros while none is limited. */
  heldShares(): readonly number[];
}
