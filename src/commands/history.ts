import type { Static } from 'typebox';
import type { AuditRecord } from '../domain/ports/store.ts';
import { command } from './command.ts';
import { timeRangeOf } from './findings.ts';
import {
  AuditPage,
  AuditQuery,
  type AuditRow,
  MigrationDetail,
  MigrationId,
  MigrationPage,
  MigrationSamplePage,
  MigrationSamplesQuery,
  MigrationsQuery,
  PAGE_LIMIT_DEFAULT,
} from './schemas/history.ts';
import { migrationDetailView, migrationView, sampleView } from './views/migration.ts';

/* The history of migrations, and the audit trail. */

export const queryMigrations = command({
  name: 'x-ferry-query-migrations',
  summary: 'The migration history, newest first',
  qapi: null,
  role: 'viewer',
  arguments: MigrationsQuery,
  result: MigrationPage,
  run: (domain, { limit = PAGE_LIMIT_DEFAULT, cursor = null, status, direction, ...range }, { role }) => {
    const filter = { ...(status === undefined ? {} : { status }), ...(direction === undefined ? {} : { direction }) };
    const page = domain.history.list({ limit, cursor, ...filter, ...timeRangeOf(range) });
    return { migrations: page.items.map((record) => migrationView(record, role)), next: page.next };
  },
});

export const queryMigration = command({
  name: 'x-ferry-query-migration',
  summary: 'One migration: its settings, its outcome, its passes',
  qapi: null,
  role: 'viewer',
  arguments: MigrationId,
  result: MigrationDetail,
  run: (domain, { id }, { role }) => {
    const { record, passes } = domain.history.get(id);
    return migrationDetailView(record, passes, role);
  },
});

export const querySamples = command({
  name: 'x-ferry-query-samples',
  summary: 'The samples of one migration, oldest first',
  qapi: null,
  role: 'viewer',
  arguments: MigrationSamplesQuery,
  result: MigrationSamplePage,
  run: (domain, { id, limit = PAGE_LIMIT_DEFAULT, cursor = null }) => {
    const page = domain.history.samples(id, { limit, cursor });
    return { samples: page.items.map(sampleView), next: page.next };
  },
});

export const queryAudit = command({
  name: 'x-ferry-query-audit',
  summary: 'The audit trail, newest first',
  qapi: null,
  role: 'operator',
  isUnaudited: true,
  arguments: AuditQuery,
  result: AuditPage,
  run: ({ audit }, { limit = PAGE_LIMIT_DEFAULT, cursor = null, ...range }) => {
    const page = audit.list({ limit, cursor, ...timeRangeOf(range) });
    return { audit: page.items.map(rowView), next: page.next };
  },
});

function rowView(record: AuditRecord): Static<typeof AuditRow> {
  return {
    id: record.id,
    at: new Date(record.at).toISOString(),
    door: record.door,
    caller: record.name,
    address: record.address,
    'request-id': record.requestId,
    command: record.command,
    arguments: record.arguments,
    outcome: record.outcome,
    code: record.errorCode,
    'duration-ms': record.durationMs === null ? null : Math.round(record.durationMs * 1000) / 1000,
  };
}
