import type { LiveParameterCells } from '../shared/live-parameters.ts';

/** The part of the downtime limit, and the most of it, that is reserved for the stop and for the start at the target. */
const MARGIN = { part: 0.25, msMax: 30 };
/** While passes shrink, only this part of the allowed time may be used, because the next pass will be shorter. */
const SHRINKING_PART = 0.25;
/** A pass has shrunk if it leaves at most this part of the bytes that it had to send. */
const SHRUNK_PART = 0.5;

/**
 * The guest may be stopped when the remaining bytes can be sent within the downtime limit. QEMU stops it at the first
 * such moment. Here passes continue while each leaves at most half of the bytes that it found, so that the downtime
 * becomes much shorter than allowed. A guest that dirties pages faster is stopped as in QEMU.
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
