import { JOB_OUTCOMES, JOB_STATUSES } from '../../domain/jobs/job-lifecycle.ts';
import { type Family, one, seconds } from './metric-family.ts';

/* Jobs, snapshots, the database, free space, and what clients ask for. */

/** Types of jobs that exist from the start with 0; others that have ended are shown too. */
const JOB_TYPES = ['snapshot-save', 'snapshot-load', 'snapshot-delete', 'snapshot-verify', 'snapshot-compact'];
/** A job is listed in these statuses; `null` means that it is not listed any more. */
const LISTED_STATUSES = JOB_STATUSES.filter((status) => status !== 'null');

const JOBS: readonly Family[] = [
  {
    name: 'vmferry_jobs',
    help: 'Jobs that were not dismissed.',
    kind: 'gauge',
    labels: ['status'],
    of: ({ domain }) => {
      const byStatus = Map.groupBy(domain.jobs.list(), ({ status }) => status);
      return LISTED_STATUSES.map((status) => ({ labels: { status }, value: byStatus.get(status)?.length ?? 0 }));
    },
  },
  {
    name: 'vmferry_jobs_total',
    help: 'Jobs that ended since the start of the process.',
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
    help: 'When the newest snapshot was taken that is on all nodes and of one moment, seconds since 1970; 0: there is none.',
    kind: 'gauge',
    of: ({ domain }) => one((domain.figures().lastGoodSnapshotMs ?? 0) / 1000),
  },
];

const STORAGE: readonly Family[] = [
  {
    name: 'vmferry_filesystem_free_bytes',
    help: 'Room on the file system of the data directory (data) and of each block device node, by its name.',
    kind: 'gauge',
    labels: ['place'],
    of: async ({ space }) => (await space()).map(({ place, freeBytes }) => ({ labels: { place }, value: freeBytes })),
  },
  {
    name: 'vmferry_filesystem_size_bytes',
    help: 'Size of the same file systems.',
    kind: 'gauge',
    labels: ['place'],
    of: async ({ space }) => (await space()).map(({ place, sizeBytes }) => ({ labels: { place }, value: sizeBytes })),
  },
  {
    name: 'vmferry_sqlite_size_bytes',
    help: 'Size of the database and of its write-ahead log.',
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
    help: 'Transactions since the start of the process.',
    kind: 'counter',
    of: ({ domain }) => one(domain.figures().store.transactions),
  },
  {
    name: 'vmferry_sqlite_transaction_seconds_total',
    help: 'Time that they took.',
    kind: 'counter',
    of: ({ domain }) => seconds(domain.figures().store.transactionMs),
  },
];

const SERVICE: readonly Family[] = [
  {
    name: 'vmferry_ready',
    help: '1 if GET /readyz says that the service is ready.',
    kind: 'gauge',
    of: ({ isReady }) => one(isReady() ? 1 : 0),
  },
  {
    name: 'vmferry_events_total',
    help: 'Events ever told, also by earlier processes: the number of the newest.',
    kind: 'counter',
    of: ({ domain }) => one(domain.events.bounds().newest),
  },
  {
    name: 'vmferry_event_streams',
    help: 'Clients that follow the events.',
    kind: 'gauge',
    of: ({ eventStreams }) => one(eventStreams()),
  },
  {
    name: 'vmferry_http_requests_with_wait_total',
    help: 'Requests with Prefer, which may wait and are not in the histogram, by route.',
    kind: 'counter',
    labels: ['method', 'route', 'status'],
    of: ({ http }) => http.waits().map(({ labels, count }) => ({ labels, value: count })),
  },
];

export const SERVICE_FAMILIES: readonly Family[] = [...JOBS, ...STORAGE, ...SERVICE];
