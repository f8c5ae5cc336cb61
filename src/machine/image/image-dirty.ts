import { setTimeout as sleep } from 'node:timers/promises';
import type { DirtyPort, DirtyRateFigures, DirtyRatePlan } from '../../domain/dirty-port.ts';
import type { GuestMemory } from '../../domain/ports.ts';
import { measureBySampling } from '../dirty/page-sampling.ts';

/** What an image dirties: it has no vCPU, so it is measured as a guest that does not run is. */
export class ImageDirty implements DirtyPort {
  readonly ringEntries = null;
  readonly #memory: () => GuestMemory | null;

  constructor(memory: () => GuestMemory | null) {
    this.#memory = memory;
  }

  async measure(plan: DirtyRatePlan, signal: AbortSignal): Promise<DirtyRateFigures> {
    if (plan.mode === 'page-sampling') return measureBySampling({ memory: this.#memory, plan, signal });
    const begunMs = performance.now();
    await sleep(plan.calcTimeMs, undefined, { signal });
    return { elapsedMs: performance.now() - begunMs, bytes: 0, bytesByVcpu: [] };
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
