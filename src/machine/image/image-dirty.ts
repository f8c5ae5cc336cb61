import type { DirtyPort, DirtyRateFigures, DirtyRatePlan } from '../../domain/ports/dirty.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { measureBySampling } from '../dirty/page-sampling.ts';
import { timePassed } from '../dirty/time-passed.ts';

/** What an image dirties: it has no vCPU, so it is measured as a guest that does not run is. */
export class ImageDirty implements DirtyPort {
  readonly ringEntries = null;
  readonly #memory: () => GuestMemory | null;

  constructor(memory: () => GuestMemory | null) {
    this.#memory = memory;
  }

  async measure(plan: DirtyRatePlan, signal: AbortSignal): Promise<DirtyRateFigures> {
    if (plan.mode === 'page-sampling') return measureBySampling({ memory: this.#memory, plan, signal });
    return { elapsedMs: await timePassed(plan.calcTimeMs, signal), bytes: 0, bytesByVcpu: [] };
  }

  /** @throws Error always: see `ringEntries`. */
  limit(): void {
    throw new Error('an image machine has no vCPU that could be limited');
  }

  currentRates(): readonly number[] {
    return [];
  }

  heldShares(): readonly number[] {
    return [];
  }
}
