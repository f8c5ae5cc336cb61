import type { PassFigures } from '../../domain/ports/migration-session.ts';
import { PAGE_BYTES } from '../memory/layout.ts';
import type { SentPages } from '../pages/page-format.ts';
import { type FigureBlock, sharedMicroseconds } from '../shared/figures.ts';
import type { Delivery } from './delivery-watch.ts';
import { RateWindow } from './pacing.ts';
import type { DirtyPeriod } from './throttle-policy.ts';

/** Period over which dirty-pages-rate is measured, at least. */
const DIRTY_PERIOD_MS = 1000;
const NOTHING: SentPages = { bytes: 0, normal: 0, zero: 0 };

/** Counts sent bytes and pages, and writes the figures of query-migrate. */
export class SendMeter {
  readonly #figures: FigureBlock;
  readonly #delivery: Delivery | null;
  readonly #window = new RateWindow(performance.now());
  readonly #startedMs = performance.now();
  #pass = 0;
  #passStart = { us: 0, bytes: 0, normal: 0, zero: 0 };
  /** End of the newest pass, which is the begin of the next one; null before the first has ended. */
  #passEndUs: number | null = null;
  #period: { startedMs: number; dirtyPages: number; sentBytes: number } | null = null;
  #countedBytes = 0;
  /** True once the guest is stopped: later bytes count as bytes of the downtime. */
  isDowntime = false;

  /** @param delivery measures the bytes that arrived; without it the sent bytes count. */
  constructor(figures: FigureBlock, delivery: Delivery | null = null) {
    this.#figures = figures;
    this.#delivery = delivery;
  }

  get pass(): number {
    return this.#pass;
  }

  /** Counts pages that were sent, and all other bytes up to `totalBytes` of the stream. */
  sent(totalBytes: number, remainingBytes: number, pages: SentPages = NOTHING): void {
    const bytes = totalBytes - this.#countedBytes;
    this.#countedBytes = totalBytes;
    this.#window.sent(bytes, pages.normal + pages.zero);
    this.#figures.set('transferredBytes', totalBytes);
    this.#figures.set('remainingBytes', remainingBytes);
    this.#figures.add('normalPages', pages.normal);
    this.#figures.add('duplicatePages', pages.zero);
    this.#figures.add(this.isDowntime ? 'downtimeBytes' : 'precopyBytes', pages.bytes);
  }

  /** Excludes time with nothing to send from the bandwidth. */
  idle(milliseconds: number): void {
    this.#window.idle(milliseconds);
  }

  /** Best estimate of the bandwidth now, bytes/s; 0 while there is none. */
  bandwidth(): number {
    const now = performance.now();
    return this.#asDelivered(this.#window.bandwidth(now), now);
  }

  /** The bandwidth is at most that of the arrived bytes, because buffers take bytes faster than the link. */
  #asDelivered(sentBandwidth: number, now: number): number {
    const delivered = this.#delivery?.bandwidth(now) ?? Number.POSITIVE_INFINITY;
    if (sentBandwidth === 0) return Number.isFinite(delivered) ? delivered : 0;
    return Math.min(sentBandwidth, delivered);
  }

  /** Ends the window if it is long enough. `assumedBandwidth` (bytes/s), if not 0, replaces the measured one. */
  closeWindow(assumedBandwidth: number): void {
    const now = performance.now();
    const window = this.#window.close(now);
    if (window === null) return;
    const measured = this.#asDelivered(window.bandwidth, now);
    this.#figures.set('bandwidth', measured);
    this.#figures.set('mbps', window.mbps);
    this.#figures.set('pagesPerSecond', window.pagesPerSecond);
    const bandwidth = assumedBandwidth || measured;
    const dirtyBytes = this.#figures.get('dirtyBytesAtSync');
    if (this.#pass > 1 && bandwidth > 0) this.#figures.set('expectedDowntimeMs', (dirtyBytes * 1000) / bandwidth);
    this.#figures.touch();
  }

  /** @returns the begin of the pass in shared microseconds: now, or the end of the pass before. */
  beginPass(dirtyBytes: number): number {
    const us = this.#passEndUs ?? sharedMicroseconds();
    this.#pass += 1;
    this.#passStart = {
      us,
      bytes: this.#countedBytes,
      normal: this.#figures.get('normalPages'),
      zero: this.#figures.get('duplicatePages'),
    };
    this.#figures.set('dirtySyncCount', this.#pass);
    this.#figures.set('remainingBytes', dirtyBytes);
    this.#figures.set('dirtyBytesAtSync', dirtyBytes);
    this.#figures.touch();
    return us;
  }

  /** Figures of the pass that ends now; the sync at its end found `dirtyBytes`. */
  endPass(dirtyBytes: number): PassFigures {
    this.#passEndUs = sharedMicroseconds();
    const startedMs = this.#sinceBegin(this.#passStart.us);
    return {
      pass: this.#pass,
      startedMs,
      // Of the rounded times, so that no pass overlaps the next one.
      durationMs: this.#sinceBegin(this.#passEndUs) - startedMs,
      sentBytes: this.#countedBytes - this.#passStart.bytes,
      normalPages: this.#figures.get('normalPages') - this.#passStart.normal,
      duplicatePages: this.#figures.get('duplicatePages') - this.#passStart.zero,
      dirtyBytes,
    };
  }

  #sinceBegin(us: number): number {
    return Math.round((us - this.#figures.get('startedUs')) / 1000);
  }

  /** Counts the pages that a sync found. @returns the period, of at least a second, that ends with it, or null. */
  synced(dirtyPages: number): DirtyPeriod | null {
    const now = performance.now();
    const period = this.#period ?? { startedMs: this.#startedMs, dirtyPages: 0, sentBytes: 0 };
    this.#period = period;
    period.dirtyPages += dirtyPages;
    const elapsed = now - period.startedMs;
    if (elapsed < DIRTY_PERIOD_MS) return null;
    this.#figures.set('dirtyPagesRate', (period.dirtyPages * 1000) / elapsed);
    this.#period = { startedMs: now, dirtyPages: 0, sentBytes: this.#countedBytes };
    this.#figures.touch();
    return { dirtyBytes: period.dirtyPages * PAGE_BYTES, sentBytes: this.#countedBytes - period.sentBytes };
  }

  /** The figures of an ended migration: nothing remains, and mbps is that of the whole. */
  complete(totalMs: number): void {
    this.#figures.set('remainingBytes', 0);
    this.#figures.set('dirtyPagesRate', 0);
    if (totalMs > 0) this.#figures.set('mbps', (this.#countedBytes * 8) / totalMs / 1000);
  }
}
