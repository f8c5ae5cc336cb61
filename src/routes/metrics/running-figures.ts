import { monitorEventLoopDelay } from 'node:perf_hooks';

/*
 * How long answers took, by route: counted from the first request on, in arrays of numbers, so that the library that
 * writes them out need not be loaded before someone asks.
 */

/** Upper bounds, seconds. */
export const LATENCY_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5] as const;
/** Combinations of method, route and status that are told apart; what comes beyond counts as one. */
const SERIES_MAX = 2000;
const BEYOND = { method: 'other', route: 'other', status: 'other' };

export type LatencyLabels = { readonly method: string; readonly route: string; readonly status: string };

/** Answers within each bound but not within the one before; the last count is of those beyond all bounds. */
export type LatencySeries = {
  readonly labels: LatencyLabels;
  readonly counts: readonly number[];
  readonly seconds: number;
};

/** Requests with Prefer. */
export type WaitSeries = { readonly labels: LatencyLabels; readonly count: number };

type Series = { readonly labels: LatencyLabels; readonly counts: number[]; seconds: number };

export class HttpFigures {
  readonly #series = new Map<string, Series>();
  readonly #waits = new Map<string, WaitSeries>();

  /** Counts a request that asked to wait: how long its answer took says nothing. */
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
