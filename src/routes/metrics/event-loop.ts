import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Family } from './family.ts';

/** Time between two looks at the event loop, milliseconds; the delay of each is counted. */
const RESOLUTION_MS = 20;

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

type EventLoopFigure = 'min' | 'max' | 'mean' | 'stddev' | 'p50' | 'p90' | 'p99';

const HELP: Readonly<Record<EventLoopFigure, string>> = {
  min: 'The least',
  max: 'The most',
  mean: 'The mean',
  stddev: 'The standard deviation',
  p50: 'The median',
  p90: 'The 90th percentile',
  p99: 'The 99th percentile',
};

export const EVENT_LOOP_FAMILIES: readonly Family[] = (Object.keys(HELP) as EventLoopFigure[]).map((figure) => ({
  name: `nodejs_eventloop_lag_${figure}_seconds`,
  help: `${HELP[figure]} of the delay of the event loop since the start of the process, looked at every ${RESOLUTION_MS} ms.`,
  kind: 'gauge',
  of: ({ eventLoop }) => {
    const value = eventLoop.read()?.[figure];
    return value === undefined ? [] : [{ value }];
  },
}));
