import type { VcpuControl } from '../memory/vcpu-control.ts';
import type { FigureBlock } from '../shared/figures.ts';
import type { LiveParameterCells } from '../shared/live-parameters.ts';

/*
 * When and how a migration slows a guest down that dirties its memory faster than pages are sent. Two capabilities, of
 * which one at a time may be on, have the same trigger:
 *
 * A period ends at the first sync of the dirty log after at least a second. It is high if the guest dirtied more bytes
 * than `throttle-trigger-threshold` percent of the bytes that were sent in it. Every second high period is a step.
 *
 * | capability    | effect of a step |
 * |---------------|------------------|
 * | auto-converge | the share of time in which all vCPUs stand still rises: first to `cpu-throttle-initial`, then by `cpu-throttle-increment`, up to `max-cpu-throttle` |
 * | dirty-limit   | the main thread limits every vCPU to `vcpu-dirty-limit`, as it does for set-vcpu-dirty-limit |
 *
 * A period that is not high changes nothing, and no step is taken back before the migration ends. The main thread ends
 * both effects, also if this thread dies.
 */

/** Bytes that syncs found newly dirty in a period, and bytes that were sent in it. */
export type DirtyPeriod = { readonly dirtyBytes: number; readonly sentBytes: number };

/** Live parameters, read again for each period, because they may change while a migration runs. */
type Live = Pick<LiveParameterCells, 'get'>;

/** High periods for one step. */
const HIGH_PERIODS = 2;
/** With auto-converge a long pass over RAM is interrupted by a sync after this time. */
const SYNC_MS_MAX = 5000;

/** Slows the guest of one migration down. */
export interface Throttle {
  /** The dirty log is synced at least this often, in milliseconds, also within a pass. */
  readonly syncMsMax: number;
  periodEnded(period: DirtyPeriod): void;
}

type ThrottleParts = {
  readonly live: Live;
  readonly control: VcpuControl;
  readonly figures: FigureBlock;
  /** Asks the main thread to limit every vCPU to `vcpu-dirty-limit`. */
  readonly limitVcpus: () => void;
};

/** The throttle of a migration with these capabilities; null: none. */
export function throttleFor(has: (capability: string) => boolean, parts: ThrottleParts): Throttle | null {
  if (has('auto-converge')) return new AutoConverge(parts);
  return has('dirty-limit') ? new DirtyLimit(parts) : null;
}

/** Counts high periods. */
class ThrottleTrigger {
  readonly #live: Live;
  #highPeriods = 0;

  constructor(live: Live) {
    this.#live = live;
  }

  /** @returns the threshold as a part of the bytes that the guest dirtied, below 1, if a step is due; otherwise null. */
  periodEnded({ dirtyBytes, sentBytes }: DirtyPeriod): number | null {
    const thresholdBytes = (sentBytes * this.#live.get('throttle-trigger-threshold')) / 100;
    if (dirtyBytes <= thresholdBytes) return null;
    this.#highPeriods += 1;
    if (this.#highPeriods < HIGH_PERIODS) return null;
    this.#highPeriods = 0;
    return thresholdBytes / dirtyBytes;
  }
}

/** The share of time, in percent, in which each vCPU stands still with auto-converge. */
export class CpuThrottle {
  readonly #live: Live;
  readonly #trigger: ThrottleTrigger;
  #percentage = 0;

  constructor(live: Live) {
    this.#live = live;
    this.#trigger = new ThrottleTrigger(live);
  }

  /** @returns the share from now on; 0: the vCPUs are not throttled. */
  periodEnded(period: DirtyPeriod): number {
    const allowedPart = this.#trigger.periodEnded(period);
    if (allowedPart !== null) {
      this.#percentage = Math.min(this.#raised(allowedPart), this.#live.get('max-cpu-throttle'));
    }
    return this.#percentage;
  }

  #raised(allowedPart: number): number {
    if (this.#percentage === 0) return this.#live.get('cpu-throttle-initial');
    const increment = this.#live.get('cpu-throttle-increment');
    if (this.#live.get('cpu-throttle-tailslow') === 0) return this.#percentage + increment;
    // With tailslow a step is at most the one that brings the guest down to the threshold.
    const running = 100 - this.#percentage;
    return this.#percentage + Math.min(running - Math.floor(running * allowedPart), increment);
  }
}

/** Applies the share to the vCPUs, and shows it in the figures. */
class AutoConverge implements Throttle {
  readonly syncMsMax = SYNC_MS_MAX;
  readonly #throttle: CpuThrottle;
  readonly #control: VcpuControl;
  readonly #figures: FigureBlock;

  constructor({ live, control, figures }: Omit<ThrottleParts, 'limitVcpus'>) {
    this.#throttle = new CpuThrottle(live);
    this.#control = control;
    this.#figures = figures;
  }

  periodEnded(period: DirtyPeriod): void {
    const percentage = this.#throttle.periodEnded(period);
    if (percentage === this.#control.throttlePercent) return;
    this.#control.throttlePercent = percentage;
    this.#figures.set('cpuThrottlePercentage', percentage);
    this.#figures.touch();
  }
}

/** Asks for the limit again at each step, so that a changed `vcpu-dirty-limit` takes effect. */
class DirtyLimit implements Throttle {
  readonly syncMsMax = Number.POSITIVE_INFINITY;
  readonly #trigger: ThrottleTrigger;
  readonly #limitVcpus: () => void;

  constructor({ live, limitVcpus }: Pick<ThrottleParts, 'live' | 'limitVcpus'>) {
    this.#trigger = new ThrottleTrigger(live);
    this.#limitVcpus = limitVcpus;
  }

  periodEnded(period: DirtyPeriod): void {
    if (this.#trigger.periodEnded(period) !== null) this.#limitVcpus();
  }
}
