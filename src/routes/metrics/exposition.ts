import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client';
import { MACHINE_FAMILIES, MIGRATION_FAMILIES } from './machine-families.ts';
import type { Family, MetricsSource } from './metric-family.ts';
import { type HttpFigures, LATENCY_BOUNDS, type LatencyLabels, type LatencySeries } from './running-figures.ts';
import { EVENT_LOOP_FAMILIES, PROCESS_FAMILIES, SERVICE_FAMILIES } from './service-families.ts';

/*
 * The figures of the service in Prometheus' text form. All of them are asked for when someone scrapes; nothing is kept
 * up to date in between but what costs an addition, and the histogram of the event loop.
 */

const FAMILIES: readonly Family[] = [
  ...MIGRATION_FAMILIES,
  ...MACHINE_FAMILIES,
  ...SERVICE_FAMILIES,
  ...PROCESS_FAMILIES,
  ...EVENT_LOOP_FAMILIES,
];

/**
 * Default metrics that are left out: those that count from the first scrape on although counted from the start is what
 * they mean, of which we have our own, and gauges with a counter's name, whose values say little of this service.
 */
const NOT_TAKEN = [
  'nodejs_eventloop_lag_seconds',
  'nodejs_eventloop_utilization_summary',
  'nodejs_eventloop_utilization_histogram',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** A registry that reads `source` at every scrape; memory, heap, descriptors and garbage collection are the library's. */
export function metricsRegistry(source: MetricsSource): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of [...NOT_TAKEN, ...FAMILIES.map((family) => family.name)]) registry.removeSingleMetric(name);
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
      // The library gives what has no labels a zero, which would be a lie where there is nothing to tell.
      if (labelNames.length === 0) this.remove();
      for (const { labels = {}, value } of samples) this.inc(labels, value);
    },
  };
  if (kind === 'gauge') new Gauge(options);
  else new Counter(options);
}

const LATENCY = 'vmferry_http_request_duration_seconds';
const LATENCY_HELP = 'Time to an answer by route, without event streams and requests that asked to wait.';

type LatencyLabel = keyof LatencyLabels;

/** The library's histogram over values that `HttpFigures` has counted since the start of the service. */
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

  /** The registry reads values with this method. The library's own version has only values that `observe` was called with. */
  async getForPromString() {
    const values = this.#http.all().flatMap(latencyValues);
    return { name: LATENCY, help: LATENCY_HELP, type: 'histogram', aggregator: 'sum', values };
  }
}

/** Buckets, sum and count of a series. A bucket counts all answers up to its bound. */
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
