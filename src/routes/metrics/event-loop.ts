import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Time between two looks at the event loop, milliseconds; the delay of each is counted. */
export const RESOLUTION_MS = 20;

/**
 * How late the main thread's event loop is, counted from when the service began. The library's own figures begin at the
 * first scrape, whose sample is therefore NaN, and each scrape takes them from whoever scrapes next.
 */
export class EventLoopFigures {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#histogram.enable();
  }

  /** Seconds; null before the first look. */
  read(): Readonly<Record<EventLoopFigure, number>> | null {
    const histogram = this.#histogram;
    if (histogram.count === 0) return null;
    const inSeconds = (nanoseconds: number): number => nanoseconds / 1e9;
    return {
      min: inSeconds(histogram.min),
      max: inSeconds(histogram.max),
      mean: inSeconds(histogram.mean),
      stddev: inSeconds(histogram.stddev),
      p50: inSeconds(histogram.percentile(50)),
      p90: inSeconds(histogram.percentile(90)),
      p99: inSeconds(histogram.percentile(99)),
    };
  }

  close(): void {
    this.#histogram.disable();
  }
}

export type EventLoopFigure = 'min' | 'max' | 'mean' | 'stddev' | 'p50' | 'p90' | 'p99';
