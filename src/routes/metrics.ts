import { Type } from 'typebox';
import * as examples from './examples/metrics.ts';
import type { MetricsSource } from './metrics/family.ts';
import type { Operation } from './operation.ts';

export const METRICS_OPERATION: Operation = {
  method: 'GET',
  path: '/metrics',
  id: 'getMetrics',
  tag: 'service',
  command: null,
  summary: 'Figures of the service, for Prometheus',
  description: "Prometheus' text form. Counters begin anew with each process. docs/operating.md lists them.",
  input: 'query',
  replies: { 200: { description: 'The figures.', schema: Type.String(), type: 'text/plain' } },
  errors: [],
  examples: examples.metrics,
};

/** The operation and its state: a registry, made at the first scrape together with the library that it is of. */
export function metricsOperations(source: MetricsSource): readonly Operation[] {
  let registry: Promise<import('@prometheus-io/client').Registry> | null = null;
  return [
    {
      ...METRICS_OPERATION,
      handle: async ({ reply }) => {
        registry ??= import('./metrics/exposition.ts').then(({ metricsRegistry }) => metricsRegistry(source));
        const made = await registry;
        return reply
          .type(made.contentType)
          .header('cache-control', 'no-store')
          .send(await made.metrics());
      },
    },
  ];
}
