import type { LiveParameterCells } from '../shared/live-parameters.ts';

/** Part of the downtime limit, and most milliseconds, kept for stopping the guest and for the target's start. */
const MARGIN = { part: 0.25, msMax: 30 };
/** While passes shrink, the guest is stopped only for this part of what is allowed: the next pass makes it short. */
const SHRINKING_PART = 0.25;
/** A pass has shrunk if it left at most this part of what it had to send. */
const SHRUNK_PART = 0.5;

/**
 * When the guest may be stopped: when what is left can be sent within the downtime limit. QEMU stops at the first
 * such moment; here passes go on for as long as each leaves at most half of what it found, so that the guest stands
 * still for much less than it might. A guest that dirties faster than that is stopped as in QEMU.
 */
export class StopRule {
  readonly #live: Pick<LiveParameterCells, 'get'>;
  #isShrinking = true;

  constructor(live: Pick<LiveParameterCells, 'get'>) {
    this.#live = live;
  }

  /** A pass that had `foundBytes` to send has ended and leaves `pendingBytes`. */
  passEnded(foundBytes: number, pendingBytes: number): void {
    this.#isShrinking = pendingBytes <= foundBytes * SHRUNK_PART;
  }

  /** True if the guest may be stopped for `pendingBytes`, given the bandwidth (bytes/s) that was measured. */
  allows(pendingBytes: number, measuredBandwidth: number): boolean {
    if (pendingBytes === 0) return true;
    const bandwidth = this.#live.get('avail-switchover-bandwidth') || measuredBandwidth;
    return (pendingBytes * 1000) / bandwidth <= this.#usableMs();
  }

  #usableMs(): number {
    const limit = this.#live.get('downtime-limit');
    const usable = limit - Math.min(limit * MARGIN.part, MARGIN.msMax);
    return this.#isShrinking ? usable * SHRINKING_PART : usable;
  }
}
