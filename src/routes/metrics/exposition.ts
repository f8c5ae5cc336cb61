import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client';
import { MACHINE_FAMILIES, MIGRATION_FAMILIES } from './machine-families.ts';
import type { Family, MetricsSource } from './metric-family.ts';
import { type HttpFigures, LATENCY_BOUNDS, type LatencyLabels, type LatencySeries } from './running-figures.ts';
import { EVENT_LOOP_FAMILIES, PROCESS_FAMILIES, SERVICE_FAMILIES } from './service-families.ts';

/*
 * The metrics of the service in the text format of Prometheus. Values are read at each scrape. Between scrapes the service
 * only updates counters and the histogram of the event loop delay.
 */

const FAMILIES: readonly Family[] = [
  ...MIGRATION_FAMILIES,
  ...MACHINE_FAMILIES,
  ...SERVICE_FAMILIES,
  ...PROCESS_FAMILIES,
  ...EVENT_LOOP_FAMILIES,
];

/**
 * Default metrics of the library that are left out. Some of them count only from the first scrape, and this service has its
 * own that count from the start. The others are gauges with the name of a counter.
 */
const LEFT_OUT = [
  'nodejs_eventloop_lag_seconds',
  'nodejs_eventloop_utilization_summary',
  'nodejs_eventloop_utilization_histogram',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** A registry that reads `source` at every scrape. The library itself supplies memory, heap, descriptors and garbage collection. */
export function metricsRegistry(source: MetricsSource): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of [...LEFT_OUT, ...FAMILIES.map((family) => family.name)]) registry.removeSingleMetric(name);
  for (const family of FAMILIES) register(registry, family, source);
  registry.registerMetric(new LatencyHistogram(source.http));
  return registry;
}

function register(registry: Registry, family: Family, source: MetricsSource): void {
  const { name, help, kind, labels: labelNames = [], of } = family;
  const options = {
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    async collect(this: Gauge<string> | Counter<string>) {
      const samples = await of(source);
      this.reset();
      // The library initialises metrics without labels to zero. That would be wrong for a value that does not exist.
      if (labelNames.length === 0) this.remove();
      for (const { labels = {}, value } of samples) this.inc(labels, value);
    },
  };
  if (kind === 'gauge') new Gauge(options);
  else new Counter(options);
}

const LATENCY = 'vmferry_http_request_duration_seconds';
const LATENCY_HELP = 'Time to the answer by route, without event streams and requests with a Prefer header.';

type LatencyLabel = keyof LatencyLabels;

/** The library's histogram class, reading the values that `HttpFigures` has counted since the start of the service. */
class LatencyHistogram extends Histogram<LatencyLabel> {
  readonly #http: HttpFigures;

  constructor(http: HttpFigures) {
    super({
      name: LATENCY,
      help: LATENCY_HELP,
      labelNames: ['method', 'route', 'status'],
      buckets: [...LATENCY_BOUNDS],
      registers: [],
    });
    this.#http = http;
  }

  /** The registry calls this method. The inherited method knows only values that were given to `observe`. */
  async getForPromString() {
    const values = this.#http.all().flatMap(latencyValues);
    return { name: LATENCY, help: LATENCY_HELP, type: 'histogram', aggregator: 'sum', values };
  }
}

/** Buckets, sum and count of a series. Prometheus' buckets are cumulative: each counts all answers up to its bound. */
function latencyValues({ labels, counts, seconds }: LatencySeries) {
  let within = 0;
  const buckets = counts.map((count, index) => {
    within += count;
    const le = LATENCY_BOUNDS[index] ?? '+Inf';
    return { metricName: `${LATENCY}_bucket`, labels: { ...labels, le }, value: within };
  });
  return [
    ...buckets,
    { metricName: `${LATENCY}_sum`, labels, value: seconds },
    { metricName: `${LATENCY}_count`, labels, value: within },
  ];
}
