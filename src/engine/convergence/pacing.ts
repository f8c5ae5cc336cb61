/** Bytes that may be sent collect for at most this time, so that no burst follows a pause. */
const BURST_MS = 50;
/** A batch is the bytes of this time: sending waits until a batch may be sent at once. */
const BATCH_MS = 5;
/** Upper limit of a batch, in bytes. */
const BATCH_BYTES_MAX = 512 * 1024;

/** Limits a sender to a rate: the bytes that it may send grow with time. */
export class TokenBucket {
  #tokens = 0;
  #refilledMs: number;

  constructor(nowMs: number) {
    this.#refilledMs = nowMs;
  }

  /** Bytes that may be sent now at `rate` bytes/s; Infinity if it is unlimited. */
  refill(rate: number, nowMs: number): number {
    const elapsed = nowMs - this.#refilledMs;
    this.#refilledMs = nowMs;
    if (rate === Number.POSITIVE_INFINITY) {
      this.#tokens = 0;
      return Number.POSITIVE_INFINITY;
    }
    this.#tokens = Math.min(this.#tokens + (rate * elapsed) / 1000, batchBytes(rate) + (rate * BURST_MS) / 1000);
    return this.#tokens;
  }

  /** Counts bytes that were sent. More bytes than allowed delay the next ones. */
  take(bytes: number): void {
    this.#tokens -= bytes;
  }

  /** Milliseconds until the next batch may be sent at `rate` bytes/s. */
  delayMs(rate: number): number {
    if (rate === Number.POSITIVE_INFINITY) return 0;
    return Math.max(0, ((batchBytes(rate) - this.#tokens) * 1000) / rate);
  }
}

function batchBytes(rate: number): number {
  return Math.min(BATCH_BYTES_MAX, (rate * BATCH_MS) / 1000);
}

/** Shortest window over which bandwidth is measured, as query-migrate defines `mbps`. */
export const WINDOW_MS = 100;
/** A window with fewer bytes gives no bandwidth. */
const SIGNIFICANT_BYTES = 10_000;

export type WindowFigures = {
  /** Bytes/s. */
  readonly bandwidth: number;
  readonly mbps: number;
  readonly pagesPerSecond: number;
};

/** Measures bandwidth window by window. Time with nothing to send does not count. */
export class RateWindow {
  #startedMs: number;
  #idleMs = 0;
  #bytes = 0;
  #pages = 0;
  #bandwidth = 0;

  constructor(nowMs: number) {
    this.#startedMs = nowMs;
  }

  sent(bytes: number, pages: number): void {
    this.#bytes += bytes;
    this.#pages += pages;
  }

  idle(milliseconds: number): void {
    this.#idleMs += milliseconds;
  }

  /** Ends the window if it is long enough. */
  close(nowMs: number): WindowFigures | null {
    const elapsed = nowMs - this.#startedMs;
    if (elapsed < WINDOW_MS) return null;
    this.#bandwidth = this.bandwidth(nowMs);
    const figures = {
      bandwidth: this.#bandwidth,
      mbps: (this.#bytes * 8) / elapsed / 1000,
      pagesPerSecond: (this.#pages * 1000) / elapsed,
    };
    this.#startedMs = nowMs;
    this.#idleMs = 0;
    this.#bytes = 0;
    this.#pages = 0;
    return figures;
  }

  /** Best estimate now, in bytes/s: of the last window, or of the first one up to now. */
  bandwidth(nowMs: number): number {
    const busy = nowMs - this.#startedMs - this.#idleMs;
    const isSignificant = this.#bytes > SIGNIFICANT_BYTES && busy > 0;
    if (this.#bandwidth > 0 && (!isSignificant || nowMs - this.#startedMs < WINDOW_MS)) return this.#bandwidth;
    return isSignificant ? (this.#bytes * 1000) / busy : 0;
  }
}
