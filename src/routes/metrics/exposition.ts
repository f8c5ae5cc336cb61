import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from '@prometheus-io/client';
import type { Family, MetricsSource } from './family.ts';
import { type HttpFigures, LATENCY_BOUNDS } from './http-figures.ts';
import { MACHINE_FAMILIES } from './machine-families.ts';
import { MIGRATION_FAMILIES } from './migration-families.ts';
import { EVENT_LOOP_FAMILIES, PROCESS_FAMILIES } from './process-families.ts';
import { SERVICE_FAMILIES } from './service-families.ts';

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
  registerLatency(registry, source.http);
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

/** The library's own histogram counts from when it was made; ours were counted before it was loaded. */
function registerLatency(registry: Registry, http: HttpFigures): void {
  const get = async () => ({ name: LATENCY, help: LATENCY_HELP, type: 'histogram', values: latencyValues(http) });
  registry.registerMetric({ name: LATENCY, get } as unknown as Metric<string>);
}

function latencyValues(http: HttpFigures) {
  return http.all().flatMap(({ labels, counts, seconds: sum }) => {
    let within = 0;
    const buckets = counts.map((count, index) => {
      within += count;
      const le = LATENCY_BOUNDS[index] ?? '+Inf';
      return { metricName: `${LATENCY}_bucket`, labels: { ...labels, le }, value: within };
    });
    return [
      ...buckets,
      { metricName: `${LATENCY}_sum`, labels, value: sum },
      { metricName: `${LATENCY}_count`, labels, value: within },
    ];
  });
}
