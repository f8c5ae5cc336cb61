import type { Context } from '../context.ts';
import type { PassFigures } from '../transfer-port.ts';

/** Passes are put together until they have taken so long: what one of them dirtied says little if it was short. */
const PERIOD_MS = 1000;
/** Periods in which too much was dirtied, before vCPUs are held. */
const HIGH_PERIODS = 2;

/**
 * The capability dirty-limit, as QEMU has it: twice that the guest dirtied more in a period than the part
 * throttle-trigger-threshold (percent) of what was sent meanwhile, and every vCPU is held to vcpu-dirty-limit until the
 * migration has ended.
 */
export class DirtyThrottle {
  readonly #context: Pick<Context, 'settings' | 'dirtyLimits'>;
  #elapsedMs = 0;
  #sentBytes = 0;
  #dirtyBytes = 0;
  #highPeriods = 0;

  constructor(context: Pick<Context, 'settings' | 'dirtyLimits'>) {
    this.#context = context;
  }

  passEnded({ durationMs, sentBytes, dirtyBytes }: PassFigures): void {
    this.#elapsedMs += durationMs;
    this.#sentBytes += sentBytes;
    this.#dirtyBytes += dirtyBytes;
    if (this.#elapsedMs < PERIOD_MS) return;
    const { triggerPercent, vcpuDirtyLimit } = this.#context.settings.dirtyThrottle();
    const isHigh = this.#dirtyBytes > (this.#sentBytes * triggerPercent) / 100;
    [this.#elapsedMs, this.#sentBytes, this.#dirtyBytes] = [0, 0, 0];
    if (isHigh) this.#highPeriods += 1;
    if (this.#highPeriods < HIGH_PERIODS) return;
    this.#highPeriods = 0;
    this.#context.dirtyLimits.throttle(vcpuDirtyLimit);
  }

  /** The vCPUs have the limits again that they had before, if they had any. */
  end(): void {
    this.#context.dirtyLimits.endThrottle();
  }
}
