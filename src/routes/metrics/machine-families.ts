import { RUN_STATES } from '../../domain/guest/run-state.ts';
import { MIGRATION_OUTCOMES, MIGRATION_STATUSES } from '../../domain/migration/migration-status.ts';
import { VERDICTS } from '../../domain/migration/verdict.ts';
import { type Family, one, oneOf, seconds } from './metric-family.ts';

/* The guest: whether it runs, the cause of a panic, its memory. */

export const MACHINE_FAMILIES: readonly Family[] = [
  {
    name: 'vmferry_guest_running',
    help: '1 if the guest is running, otherwise 0.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.machine.status().running ? 1 : 0),
  },
  {
    name: 'vmferry_guest_run_state',
    help: '1 for the current run state of the machine, 0 for the others.',
    kind: 'gauge',
    labels: ['state'],
    of: ({ domain }) => oneOf('state', RUN_STATES, domain.machine.status().status),
  },
  {
    name: 'vmferry_guest_panicked',
    help: '1 if the guest panicked or one of its vCPU threads died, otherwise 0.',
    kind: 'gauge',
    of: ({ domain }) => one((domain.machine.info().guest?.panic ?? null) === null ? 0 : 1),
  },
  {
    name: 'vmferry_guest_panic_info',
    help: 'The cause of the panic of the guest, in labels. The value is 1.',
    kind: 'gauge',
    labels: ['kind', 'detail'],
    of: ({ domain }) => {
      const panic = domain.machine.info().guest?.panic ?? null;
      return panic === null ? [] : [{ labels: { kind: panic.kind, detail: panic.detail }, value: 1 }];
    },
  },
  {
    name: 'vmferry_guest_memory_bytes',
    help: 'Size of the RAM of the machine.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.machine.info().ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0)),
  },
];

/* Migrations. A figure of the newest migration has no sample while `GET /migrate` has no such member. */

const DIRECTIONS = ['outgoing', 'incoming'] as const;

const COUNTERS: readonly Family[] = [
  {
    name: 'vmferry_migrations_total',
    help: 'Migrations that have ended since the start of the process.',
    kind: 'counter',
    labels: ['direction', 'outcome'],
    of: ({ domain }) => {
      const ended = domain.figures().migrations;
      return DIRECTIONS.flatMap((direction) =>
        MIGRATION_OUTCOMES.map((outcome) => {
          const row = ended.find((each) => each.direction === direction && each.outcome === outcome);
          return { labels: { direction, outcome }, value: row?.count ?? 0 };
        }),
      );
    },
  },
];

const STATE: readonly Family[] = [
  {
    name: 'vmferry_migration_status',
    help: '1 for the status of the newest migration of this process, 0 for the others.',
    kind: 'gauge',
    labels: ['status'],
    of: ({ domain }) => oneOf('status', MIGRATION_STATUSES, domain.migration.query().status ?? 'none'),
  },
  {
    name: 'vmferry_migration_verdict',
    help: '1 for the verdict of GET /migrate/progress on the running outgoing migration; all 0 if none is running.',
    kind: 'gauge',
    labels: ['verdict'],
    of: ({ domain }) => oneOf('verdict', VERDICTS, domain.migration.progress().verdict?.verdict ?? null),
  },
  {
    name: 'vmferry_migration_guest_unknown',
    help: '1 if it is unknown after the newest migration which side has the guest, and the guest is not running here.',
    kind: 'gauge',
    of: ({ domain }) => {
      const [newest] = domain.history.list({ limit: 1, cursor: null }).items;
      return one(newest?.guest === 'unknown' && !domain.machine.status().running ? 1 : 0);
    },
  },
  {
    name: 'vmferry_migration_first_pass_ratio',
    help: 'Share of RAM that the first pass of the newest migration has sent or received, from 0 to 1.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.migration.progress()['first-pass-percent'] / 100),
  },
  {
    name: 'vmferry_migration_rate_bytes_per_second',
    help: 'Rate at which the newest migration sends or receives; 0 after its end.',
    kind: 'gauge',
    of: ({ domain }) => {
      const { rate, verdict, status } = domain.migration.progress();
      return one(verdict !== null || INCOMING_RUNS.has(status) ? rate : 0);
    },
  },
];

/** Statuses of a running incoming migration, which has no verdict. */
const INCOMING_RUNS: ReadonlySet<string> = new Set(['setup', 'active']);

const FIGURES: readonly Family[] = [
  {
    name: 'vmferry_migration_transferred_bytes',
    help: 'Bytes that the newest outgoing migration has sent.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.migration.query().ram?.transferred),
  },
  {
    name: 'vmferry_migration_remaining_bytes',
    help: 'Bytes of RAM that the newest migration still has to send or receive.',
    kind: 'gauge',
    of: ({ domain }) => {
      const { ram, status } = domain.migration.query();
      if (ram !== undefined) return one(ram.remaining);
      return status === undefined ? [] : one(domain.migration.progress().remaining);
    },
  },
  {
    name: 'vmferry_migration_memory_bytes',
    help: 'Size of the RAM that the newest outgoing migration sends.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.migration.query().ram?.total),
  },
  {
    name: 'vmferry_migration_passes',
    help: 'Number of times that the newest outgoing migration has synchronised the dirty bitmap.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.migration.query().ram?.['dirty-sync-count']),
  },
  {
    name: 'vmferry_migration_dirty_pages_per_second',
    help: 'Pages per second that the guest dirtied during the newest outgoing migration, at the last measurement.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.migration.query().ram?.['dirty-pages-rate']),
  },
  {
    name: 'vmferry_migration_downtime_seconds',
    help: 'Time during which the newest outgoing migration stopped the guest.',
    kind: 'gauge',
    of: ({ domain }) => seconds(domain.migration.query().downtime),
  },
  {
    name: 'vmferry_migration_expected_downtime_seconds',
    help: 'Time for which the guest would stop if the outgoing migration switched over now.',
    kind: 'gauge',
    of: ({ domain }) => seconds(domain.migration.query()['expected-downtime']),
  },
  {
    name: 'vmferry_migration_duration_seconds',
    help: 'Duration of the newest outgoing migration, so far or in total.',
    kind: 'gauge',
    of: ({ domain }) => seconds(domain.migration.query()['total-time']),
  },
];

export const MIGRATION_FAMILIES: readonly Family[] = [...COUNTERS, ...STATE, ...FIGURES];
