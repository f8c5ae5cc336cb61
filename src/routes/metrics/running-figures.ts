import { monitorEventLoopDelay } from 'node:perf_hooks';

/*
 * Response times by route, counted from the first request on. The counts are plain arrays, so that the Prometheus library is
 * loaded only at the first scrape.
 */

/** Upper bounds of the histogram's buckets, in seconds. */
export const LATENCY_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5] as const;
/** Most combinations of method, route and status. All further combinations share one series. */
const SERIES_MAX = 2000;
const BEYOND = { method: 'other', route: 'other', status: 'other' };

export type LatencyLabels = { readonly method: string; readonly route: string; readonly status: string };

/** `counts[i]` are the answers between bound i-1 and bound i. The last count is of the answers above all bounds. */
export type LatencySeries = {
  readonly labels: LatencyLabels;
  readonly counts: readonly number[];
  readonly seconds: number;
};

/** The number of requests with a Prefer header. */
export type WaitSeries = { readonly labels: LatencyLabels; readonly count: number };

type Series = { readonly labels: LatencyLabels; readonly counts: number[]; seconds: number };

export class HttpFigures {
  readonly #series = new Map<string, Series>();
  readonly #waits = new Map<string, WaitSeries>();

  /** Counts a request with a Prefer header. It may have waited, so its time is not counted. */
  waited(labels: LatencyLabels): void {
    const key = keyOf(labels);
    const isKnown = this.#waits.has(key) || this.#waits.size < SERIES_MAX;
    const shown = isKnown ? labels : BEYOND;
    const before = this.#waits.get(keyOf(shown))?.count ?? 0;
    this.#waits.set(keyOf(shown), { labels: shown, count: before + 1 });
  }

  waits(): readonly WaitSeries[] {
    return [...this.#waits.values()];
  }

  answered(labels: LatencyLabels, seconds: number): void {
    const series = this.#seriesOf(labels);
    const found = LATENCY_BOUNDS.findIndex((bound) => seconds <= bound);
    const at = found === -1 ? LATENCY_BOUNDS.length : found;
    series.counts[at] = (series.counts[at] ?? 0) + 1;
    series.seconds += seconds;
  }

  all(): readonly LatencySeries[] {
    return [...this.#series.values()];
  }

  #seriesOf(labels: LatencyLabels): Series {
    const key = keyOf(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= SERIES_MAX && labels !== BEYOND) return this.#seriesOf(BEYOND);
    const series = { labels, counts: Array.from({ length: LATENCY_BOUNDS.length + 1 }, () => 0), seconds: 0 };
    this.#series.set(key, series);
    return series;
  }
}

function keyOf({ method, route, status }: LatencyLabels): string {
  return `${method} ${route} ${status}`;
}

/** Milliseconds between two samples of the event loop delay. */
export const RESOLUTION_MS = 20;

/**
 * Delay of the main thread's event loop since the start of the service. The library's own metric is not used: it begins at the
 * first scrape, whose value is NaN, and every scrape resets it, also for other scrapers.
 */
export class EventLoopFigures {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#histogram.enable();
  }

  /** Values in seconds; null before the first sample. */
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
