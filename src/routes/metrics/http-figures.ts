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
