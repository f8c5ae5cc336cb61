import type { DirtyLimits } from '../dirty/dirty-limits.ts';
import type { PassFigures } from '../ports/migration-session.ts';
import type { Settings } from '../settings/settings.ts';

/** Passes are put together until they have taken so long: what one of them dirtied says little if it was short. */
const PERIOD_MS = 1000;
/** Periods in which too much was dirtied, before vCPUs are held. */
const HIGH_PERIODS = 2;

export type ThrottleParts = {
  readonly settings: Pick<Settings, 'dirtyThrottle'>;
  readonly dirtyLimits: Pick<DirtyLimits, 'throttle' | 'endThrottle'>;
};

/**
 * The capability dirty-limit, as QEMU has it: twice that the guest dirtied more in a period than the part
 * throttle-trigger-threshold (percent) of what was sent meanwhile, and every vCPU is held to vcpu-dirty-limit until the
 * migration has ended.
 */
export class DirtyThrottle {
  readonly #parts: ThrottleParts;
  #elapsedMs = 0;
  #sentBytes = 0;
  #dirtyBytes = 0;
  #highPeriods = 0;

  constructor(parts: ThrottleParts) {
    this.#parts = parts;
  }

  passEnded({ durationMs, sentBytes, dirtyBytes }: PassFigures): void {
    this.#elapsedMs += durationMs;
    this.#sentBytes += sentBytes;
    this.#dirtyBytes += dirtyBytes;
    if (this.#elapsedMs < PERIOD_MS) return;
    const { triggerPercent, vcpuDirtyLimit } = this.#parts.settings.dirtyThrottle();
    const isHigh = this.#dirtyBytes > (this.#sentBytes * triggerPercent) / 100;
    [this.#elapsedMs, this.#sentBytes, this.#dirtyBytes] = [0, 0, 0];
    if (isHigh) this.#highPeriods += 1;
    if (this.#highPeriods < HIGH_PERIODS) return;
    this.#highPeriods = 0;
    this.#parts.dirtyLimits.throttle(vcpuDirtyLimit);
  }

  /** The vCPUs have the limits again that they had before, if they had any. */
  end(): void {
    this.#parts.dirtyLimits.endThrottle();
  }
}
