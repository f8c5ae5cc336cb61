import type { VcpuControl } from '../memory/vcpu-control.ts';
import type { FigureBlock } from '../shared/figures.ts';
import type { LiveParameterCells } from '../shared/live-parameters.ts';

/*
 * The capability auto-converge: a guest that dirties its memory faster than pages are sent is slowed down step by step.
 *
 * A period ends at the first sync of the dirty log after at least a second. It counts as high if the guest dirtied more
 * than `throttle-trigger-threshold` percent of the bytes that were sent in it. After every second high period the share of time
 * that vCPUs stand still rises: to `cpu-throttle-initial` at first, then by `cpu-throttle-increment`, up to
 * `max-cpu-throttle`. A period that is not high changes nothing. The share never falls; it ends with the migration.
 */

/** Bytes that syncs found newly dirty in a period, and bytes that were sent in it. */
export type DirtyPeriod = { readonly dirtyBytes: number; readonly sentBytes: number };

/** High periods before each step. */
const HIGH_PERIODS = 2;

/** Decides the throttle. Reads the parameters anew for each step, since they may change while a migration runs. */
export class ThrottlePolicy {
  readonly #live: Pick<LiveParameterCells, 'get'>;
  #highPeriods = 0;
  #percentage = 0;

  constructor(live: Pick<LiveParameterCells, 'get'>) {
    this.#live = live;
  }

  /** @returns the share of time, in percent, that each vCPU has to stand still from now on; 0: none. */
  periodEnded(period: DirtyPeriod): number {
    const thresholdBytes = (period.sentBytes * this.#live.get('throttle-trigger-threshold')) / 100;
    if (period.dirtyBytes <= thresholdBytes) return this.#percentage;
    this.#highPeriods += 1;
    if (this.#highPeriods === HIGH_PERIODS) {
      this.#highPeriods = 0;
      const raised = this.#raised(thresholdBytes / period.dirtyBytes);
      this.#percentage = Math.min(raised, this.#live.get('max-cpu-throttle'));
    }
    return this.#percentage;
  }

  /** `allowedPart`: the threshold as a part of what the guest dirtied; below 1. */
  #raised(allowedPart: number): number {
    if (this.#percentage === 0) return this.#live.get('cpu-throttle-initial');
    const increment = this.#live.get('cpu-throttle-increment');
    if (this.#live.get('cpu-throttle-tailslow') === 0) return this.#percentage + increment;
    // With tailslow the step is no longer than what would bring the guest down to the threshold.
    const running = 100 - this.#percentage;
    return this.#percentage + Math.min(running - Math.floor(running * allowedPart), increment);
  }
}

/** Throttles the vCPUs of a guest as the policy says, and shows it in the figures. The main thread ends the throttle. */
export class AutoConverge {
  readonly #policy: ThrottlePolicy;
  readonly #control: VcpuControl;
  readonly #figures: FigureBlock;

  constructor(parts: {
    readonly live: Pick<LiveParameterCells, 'get'>;
    readonly control: VcpuControl;
    readonly figures: FigureBlock;
  }) {
    this.#policy = new ThrottlePolicy(parts.live);
    this.#control = parts.control;
    this.#figures = parts.figures;
  }

  periodEnded(period: DirtyPeriod): void {
    const percentage = this.#policy.periodEnded(period);
    if (percentage === this.#control.throttlePercent) return;
    this.#control.throttlePercent = percentage;
    this.#figures.set('cpuThrottlePercentage', percentage);
    this.#figures.touch();
  }
}
