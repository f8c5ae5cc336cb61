import { readFileSync } from 'node:fs';
import { JOB_OUTCOMES, JOB_STATUSES } from '../../domain/jobs/job-lifecycle.ts';
import { type Family, one, seconds } from './metric-family.ts';
import { type EventLoopFigure, RESOLUTION_MS } from './running-figures.ts';

/* Metrics of the service (jobs, snapshots, database, free space, events, requests) and of its process. */

/** Job types whose counters exist from the start with 0. Other types appear when such a job has ended. */
const JOB_TYPES = ['snapshot-save', 'snapshot-load', 'snapshot-delete', 'snapshot-verify', 'snapshot-compact'];
/** Statuses of listed jobs. A job with status `null` is not listed any more. */
const LISTED_STATUSES = JOB_STATUSES.filter((status) => status !== 'null');

const JOBS: readonly Family[] = [
  {
    name: 'vmferry_jobs',
    help: 'Jobs that are not dismissed, by status.',
    kind: 'gauge',
    labels: ['status'],
    of: ({ domain }) => {
      const byStatus = Map.groupBy(domain.jobs.list(), ({ status }) => status);
      return LISTED_STATUSES.map((status) => ({ labels: { status }, value: byStatus.get(status)?.length ?? 0 }));
    },
  },
  {
    name: 'vmferry_jobs_total',
    help: 'Jobs that have ended since the start of the process.',
    kind: 'counter',
    labels: ['type', 'outcome'],
    of: ({ domain }) => {
      const ended = domain.figures().jobs;
      const types = new Set([...JOB_TYPES, ...ended.map(({ type }) => type)]);
      return [...types].flatMap((type) =>
        JOB_OUTCOMES.map((outcome) => {
          const row = ended.find((each) => each.type === type && each.outcome === outcome);
          return { labels: { type, outcome }, value: row?.count ?? 0 };
        }),
      );
    },
  },
  {
    name: 'vmferry_snapshots',
    help: 'Snapshots in the images of the machine.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.figures().snapshots),
  },
  {
    name: 'vmferry_snapshot_last_good_timestamp_seconds',
    help: 'Time of the newest snapshot that is on all nodes and was taken at one moment, in seconds since 1970; 0 if there is none.',
    kind: 'gauge',
    of: ({ domain }) => one((domain.figures().lastGoodSnapshotMs ?? 0) / 1000),
  },
];

const STORAGE: readonly Family[] = [
  {
    name: 'vmferry_filesystem_free_bytes',
    help: 'Free space on the file system of the data directory (place "data") and of each block device node (by its name).',
    kind: 'gauge',
    labels: ['place'],
    of: async ({ space }) => (await space()).map(({ place, freeBytes }) => ({ labels: { place }, value: freeBytes })),
  },
  {
    name: 'vmferry_filesystem_size_bytes',
    help: 'Size of the file systems of vmferry_filesystem_free_bytes.',
    kind: 'gauge',
    labels: ['place'],
    of: async ({ space }) => (await space()).map(({ place, sizeBytes }) => ({ labels: { place }, value: sizeBytes })),
  },
  {
    name: 'vmferry_sqlite_size_bytes',
    help: 'Size of the database file and of its write-ahead log.',
    kind: 'gauge',
    labels: ['file'],
    of: ({ domain }) => {
      const { bytes, walBytes } = domain.figures().store;
      return [
        { labels: { file: 'database' }, value: bytes },
        { labels: { file: 'wal' }, value: walBytes },
      ];
    },
  },
  {
    name: 'vmferry_sqlite_transactions_total',
    help: 'Database transactions since the start of the process.',
    kind: 'counter',
    of: ({ domain }) => one(domain.figures().store.transactions),
  },
  {
    name: 'vmferry_sqlite_transaction_seconds_total',
    help: 'Total time of the database transactions since the start of the process.',
    kind: 'counter',
    of: ({ domain }) => seconds(domain.figures().store.transactionMs),
  },
];

const SERVICE: readonly Family[] = [
  {
    name: 'vmferry_ready',
    help: '1 if GET /readyz reports that the service is ready, otherwise 0.',
    kind: 'gauge',
    of: ({ isReady }) => one(isReady() ? 1 : 0),
  },
  {
    name: 'vmferry_events_total',
    help: 'Number of the newest event. Events of earlier processes are included.',
    kind: 'counter',
    of: ({ domain }) => one(domain.events.bounds().newest),
  },
  {
    name: 'vmferry_event_streams',
    help: 'Clients that follow the events now.',
    kind: 'gauge',
    of: ({ eventStreams }) => one(eventStreams()),
  },
  {
    name: 'vmferry_http_requests_with_wait_total',
    help: 'Requests with a Prefer header, by route. They may wait, so they are not in the histogram.',
    kind: 'counter',
    labels: ['method', 'route', 'status'],
    of: ({ http }) => http.waits().map(({ labels, count }) => ({ labels, value: count })),
  },
];

export const SERVICE_FAMILIES: readonly Family[] = [...JOBS, ...STORAGE, ...SERVICE];

const PACKAGE_FILE = new URL('../../../package.json', import.meta.url);
const MICROSECONDS = 1e6;

export const PROCESS_FAMILIES: readonly Family[] = [
  {
    name: 'process_cpu_user_seconds_total',
    help: 'User CPU time of all threads since the start of the process.',
    kind: 'counter',
    of: () => one(process.cpuUsage().user / MICROSECONDS),
  },
  {
    name: 'process_cpu_system_seconds_total',
    help: 'System CPU time of all threads since the start of the process.',
    kind: 'counter',
    of: () => one(process.cpuUsage().system / MICROSECONDS),
  },
  {
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time of all threads since the start of the process.',
    kind: 'counter',
    of: () => {
      const { user, system } = process.cpuUsage();
      return one((user + system) / MICROSECONDS);
    },
  },
  {
    name: 'vmferry_build_info',
    help: 'Versions of vmferry and Node, in labels. The value is 1.',
    kind: 'gauge',
    labels: ['version', 'node'],
    of: () => [{ labels: { version: packageVersion(), node: process.version }, value: 1 }],
  },
  {
    name: 'vmferry_workers',
    help: 'Worker threads of the process, by kind.',
    kind: 'gauge',
    labels: ['kind'],
    of: async ({ workers }) => {
      const byKind = Map.groupBy(await workers(), ({ kind }) => kind);
      const kinds = new Set([...WORKER_KINDS, ...byKind.keys()]);
      return [...kinds].map((kind) => ({ labels: { kind }, value: byKind.get(kind)?.length ?? 0 }));
    },
  },
  {
    name: 'vmferry_worker_memory_bytes',
    help: 'Memory of worker threads without the memory that they share, summed up by kind.',
    kind: 'gauge',
    labels: ['kind', 'part'],
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
];

const DELAY_HELP: Readonly<Record<EventLoopFigure, string>> = {
  min: 'Minimum',
  max: 'Maximum',
  mean: 'Mean',
  stddev: 'Standard deviation',
  p50: 'Median',
  p90: '90th percentile',
  p99: '99th percentile',
};

/** Delays of the main thread's event loop. */
export const EVENT_LOOP_FAMILIES: readonly Family[] = (Object.keys(DELAY_HELP) as EventLoopFigure[]).map((figure) => ({
  name: `nodejs_eventloop_lag_${figure}_seconds`,
  help: `${DELAY_HELP[figure]} of the delay of the event loop since the start of the process, sampled every ${RESOLUTION_MS} ms.`,
  kind: 'gauge',
  of: ({ eventLoop }) => {
    const value = eventLoop.read()?.[figure];
    return value === undefined ? [] : [{ value }];
  },
}));

const WORKER_KINDS = ['transfer', 'block', 'vcpu'];

let version: string | null = null;

function packageVersion(): string {
  version ??= (JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { readonly version: string }).version;
  return version;
}
