import type { DirtyPort, DirtyRateFigures, DirtyRatePlan } from '../../domain/ports/hypervisor.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { measureBySampling, timePassed } from '../dirty/page-sampling.ts';
import { countedSince, DirtyTrace, grownSince } from './dirty-trace.ts';

/** Interval at which the rates of limited vCPUs are measured. */
const RATE_PERIOD_MS = 1000;

export type SyntheticDirtyOptions = {
  readonly vcpus: number;
  readonly pages: number;
  readonly ringEntries: number | null;
  readonly memory: () => GuestMemory;
};

/**
 * Measures and limits the dirty pages of the vCPUs, on the main thread. The trace is on only for a measurement or
 * limit.
 */
export class SyntheticDirty implements DirtyPort {
  readonly ringEntries: number | null;
  readonly trace: DirtyTrace;
  readonly #memory: () => GuestMemory;
  readonly #limited = new Set<number>();
  #isTracing = false;
  #rates: readonly number[];
  #shares: readonly number[];
  #meter: NodeJS.Timeout | null = null;

  constructor({ vcpus, pages, ringEntries, memory }: SyntheticDirtyOptions) {
    this.ringEntries = ringEntries;
    this.trace = new DirtyTrace(vcpus, pages);
    this.#memory = memory;
    this.#rates = this.#zeros();
    this.#shares = this.#zeros();
  }

  async measure(plan: DirtyRatePlan, signal: AbortSignal): Promise<DirtyRateFigures> {
    if (plan.mode === 'page-sampling') return measureBySampling({ memory: this.#memory, plan, signal });
    const { trace } = this;
    this.#isTracing = true;
    trace.start();
    const before = trace.counts();
    const begunMs = performance.now();
    try {
      await timePassed(plan.calcTimeMs, signal);
      const bytesByVcpu = countedSince(trace, before).map((pages) => pages * PAGE_BYTES);
      const elapsedMs = performance.now() - begunMs;
      const bytes = bytesByVcpu.reduce((sum, own) => sum + own, 0);
      return { elapsedMs, bytes, bytesByVcpu: plan.mode === 'dirty-ring' ? bytesByVcpu : [] };
    } finally {
      this.#isTracing = false;
      this.#stopIfUnused();
    }
  }

  /** Limits a vCPU; null: no limit. The trace must be on before the limit, because it counts the dirty pages. */
  limit(vcpu: number, mibPerSecond: number | null): void {
    if (mibPerSecond === null) {
      this.trace.setLimit(vcpu, 0);
      this.#limited.delete(vcpu);
      if (this.#limited.size === 0) this.#stopMeter();
      this.#stopIfUnused();
      return;
    }
    if (this.trace.epoch === 0) this.trace.start();
    this.#limited.add(vcpu);
    this.#meter ??= this.#startMeter();
    this.trace.setLimit(vcpu, mibPerSecond);
  }

  currentRates(): readonly number[] {
    return this.#rates;
  }

  heldShares(): readonly number[] {
    return this.#shares;
  }

  /** Stops the timer. */
  close(): void {
    this.#stopMeter();
  }

  #stopMeter(): void {
    if (this.#meter !== null) clearInterval(this.#meter);
    this.#meter = null;
    this.#rates = this.#zeros();
    this.#shares = this.#zeros();
  }

  #startMeter(): NodeJS.Timeout {
    let before = this.trace.counts();
    let heldBefore = this.trace.held();
    let begunMs = performance.now();
    const meter = setInterval(() => {
      const pages = countedSince(this.trace, before);
      const elapsedMs = performance.now() - begunMs;
      before = this.trace.counts();
      this.#shares = grownSince(this.trace.held(), heldBefore).map((us) => Math.min(1, us / (elapsedMs * 1000)));
      heldBefore = this.trace.held();
      begunMs += elapsedMs;
      this.#rates = pages.map((count) => (count * PAGE_BYTES * 1000) / elapsedMs);
    }, RATE_PERIOD_MS);
    return meter.unref();
  }

  #stopIfUnused(): void {
    if (!this.#isTracing && this.#limited.size === 0) this.trace.stop();
  }

  #zeros(): readonly number[] {
    return Array.from({ length: this.trace.vcpus }, () => 0);
  }
}
