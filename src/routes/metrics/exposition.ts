import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from '@prometheus-io/client';
import type { Domain } from '../../commands/domain.ts';
import { type HttpFigures, LATENCY_BOUNDS } from './http-figures.ts';

/*
 * The figures of the service in Prometheus' text form. All of them are asked for when someone scrapes; nothing is kept
 * up to date in between but what costs an addition.
 */

export type MetricsSource = {
  readonly domain: Domain;
  readonly http: HttpFigures;
  /** Clients that follow the events now. */
  readonly eventStreams: () => number;
  readonly workers: WorkersMemory;
};

/** The worker threads of the process, and what each holds now, in bytes; null: it did not say. */
export type WorkersMemory = () => Promise<
  readonly { readonly kind: string; readonly memory: Readonly<Record<MemoryPart, number>> | null }[]
>;
type MemoryPart = 'heapBytes' | 'heapUsedBytes' | 'externalBytes';

type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number };
type Family = {
  readonly name: string;
  readonly help: string;
  readonly of: (source: MetricsSource) => readonly Sample[] | Promise<readonly Sample[]>;
};

/** A registry that reads `source` at every scrape; process, heap and event loop are the library's own. */
export function metricsRegistry(source: MetricsSource): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const family of GAUGES) register(Gauge, registry, { family, source });
  for (const family of COUNTERS) register(Counter, registry, { family, source });
  registerLatency(registry, source.http);
  return registry;
}

function register(
  kind: typeof Gauge | typeof Counter,
  registry: Registry,
  { family, source }: { readonly family: Family; readonly source: MetricsSource },
): void {
  const { name, help, of } = family;
  new kind({
    name,
    help,
    labelNames: LABELS[name] ?? [],
    registers: [registry],
    async collect() {
      const samples = await of(source);
      this.reset();
      // The library gives what has no labels a zero, which would be a lie where there is nothing to tell.
      if (!(name in LABELS)) this.remove();
      for (const { labels = {}, value } of samples) this.inc(labels, value);
    },
  });
}

const LABELS: Readonly<Record<string, string[]>> = {
  vmferry_migrations_total: ['direction', 'outcome'],
  vmferry_migration_status: ['status'],
  vmferry_jobs: ['status'],
  vmferry_jobs_total: ['type', 'outcome'],
  vmferry_sqlite_size_bytes: ['file'],
  vmferry_workers: ['kind'],
  vmferry_worker_memory_bytes: ['kind', 'part'],
};

const one = (value: number | undefined): readonly Sample[] => (value === undefined ? [] : [{ value }]);
const seconds = (milliseconds: number | undefined): readonly Sample[] =>
  one(milliseconds === undefined ? undefined : milliseconds / 1000);

/** Those of the newest migration have no sample where `GET /migrate` has no such member. */
const GAUGES: readonly Family[] = [
  {
    name: 'vmferry_migration_status',
    help: 'The newest migration of this process is in this status.',
    of: ({ domain }) => {
      const { status } = domain.migration.query();
      return status === undefined ? [] : [{ labels: { status }, value: 1 }];
    },
  },
  {
    name: 'vmferry_migration_transferred_bytes',
    help: 'Bytes that the newest outgoing migration has sent.',
    of: ({ domain }) => one(domain.migration.query().ram?.transferred),
  },
  {
    name: 'vmferry_migration_remaining_bytes',
    help: 'Bytes of RAM that it still has to send.',
    of: ({ domain }) => one(domain.migration.query().ram?.remaining),
  },
  {
    name: 'vmferry_migration_memory_bytes',
    help: 'Bytes of RAM that it is about.',
    of: ({ domain }) => one(domain.migration.query().ram?.total),
  },
  {
    name: 'vmferry_migration_passes',
    help: 'Times that it has looked for dirty pages.',
    of: ({ domain }) => one(domain.migration.query().ram?.['dirty-sync-count']),
  },
  {
    name: 'vmferry_migration_dirty_pages_per_second',
    help: 'Pages that the guest dirtied in a second, by its newest figures.',
    of: ({ domain }) => one(domain.migration.query().ram?.['dirty-pages-rate']),
  },
  {
    name: 'vmferry_migration_downtime_seconds',
    help: 'How long the guest stood still in it.',
    of: ({ domain }) => seconds(domain.migration.query().downtime),
  },
  {
    name: 'vmferry_migration_expected_downtime_seconds',
    help: 'How long the guest would stand still if it switched over now.',
    of: ({ domain }) => seconds(domain.migration.query()['expected-downtime']),
  },
  {
    name: 'vmferry_migration_duration_seconds',
    help: 'How long it has taken, or took.',
    of: ({ domain }) => seconds(domain.migration.query()['total-time']),
  },
  {
    name: 'vmferry_guest_running',
    help: '1 if the guest runs.',
    of: ({ domain }) => one(domain.machine.status().running ? 1 : 0),
  },
  {
    name: 'vmferry_guest_memory_bytes',
    help: 'RAM of the machine.',
    of: ({ domain }) => one(domain.machine.info().ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0)),
  },
  {
    name: 'vmferry_jobs',
    help: 'Jobs that were not dismissed.',
    of: ({ domain }) => {
      const byStatus = Map.groupBy(domain.jobs.list(), ({ status }) => status);
      return [...byStatus].map(([status, jobs]) => ({ labels: { status }, value: jobs.length }));
    },
  },
  {
    name: 'vmferry_snapshots',
    help: 'Snapshots in the images of the machine.',
    of: ({ domain }) => one(domain.figures().snapshots),
  },
  {
    name: 'vmferry_event_streams',
    help: 'Clients that follow the events.',
    of: ({ eventStreams }) => one(eventStreams()),
  },
  {
    name: 'vmferry_workers',
    help: 'Worker threads of the process: of migrations, of the images, of vCPUs.',
    of: async ({ workers }) => {
      const byKind = Map.groupBy(await workers(), ({ kind }) => kind);
      return [...byKind].map(([kind, all]) => ({ labels: { kind }, value: all.length }));
    },
  },
  {
    name: 'vmferry_worker_memory_bytes',
    help: 'What they hold beside the memory that they share, all of a kind together.',
    of: async ({ workers }) =>
      (await workers()).flatMap(({ kind, memory }) => {
        const parts: readonly (readonly [string, number | undefined])[] = [
          ['heap_total', memory?.heapBytes],
          ['heap_used', memory?.heapUsedBytes],
          ['external', memory?.externalBytes],
        ];
        return parts.flatMap(([part, bytes]) => one(bytes).map(({ value }) => ({ labels: { kind, part }, value })));
      }),
  },
  {
    name: 'vmferry_sqlite_size_bytes',
    help: 'Size of the database and of its write-ahead log.',
    of: ({ domain }) => {
      const { bytes, walBytes } = domain.figures().store;
      return [
        { labels: { file: 'database' }, value: bytes },
        { labels: { file: 'wal' }, value: walBytes },
      ];
    },
  },
];

const COUNTERS: readonly Family[] = [
  {
    name: 'vmferry_migrations_total',
    help: 'Migrations that ended since the start of the process.',
    of: ({ domain }) =>
      domain.figures().migrations.map(({ direction, outcome, count }) => ({
        labels: { direction, outcome },
        value: count,
      })),
  },
  {
    name: 'vmferry_jobs_total',
    help: 'Jobs that ended since the start of the process.',
    of: ({ domain }) =>
      domain.figures().jobs.map(({ type, outcome, count }) => ({ labels: { type, outcome }, value: count })),
  },
  {
    name: 'vmferry_events_total',
    help: 'Events ever told, also by earlier processes: the number of the newest.',
    of: ({ domain }) => one(domain.events.bounds().newest),
  },
  {
    name: 'vmferry_sqlite_transactions_total',
    help: 'Transactions since the start of the process.',
    of: ({ domain }) => one(domain.figures().store.transactions),
  },
  {
    name: 'vmferry_sqlite_transaction_seconds_total',
    help: 'Time that they took.',
    of: ({ domain }) => seconds(domain.figures().store.transactionMs),
  },
];

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
