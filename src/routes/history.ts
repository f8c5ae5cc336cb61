import * as commands from '../commands/history.ts';
import { AuditPage, MigrationDetail, MigrationPage, MigrationSamplePage } from '../commands/schemas/history.ts';
import { watchMigration, watchState } from '../commands/waiting.ts';
import * as examples from './examples/history.ts';
import { LINK, NOT_MODIFIED, STATUS_CONDITIONAL_HEADERS, sendContentTagged, sendPage, TAGGED } from './http/answers.ts';
import type { Call, Operation } from './operation.ts';

export const migrationsOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/migrations',
    id: 'queryMigrations',
    tag: 'history',
    command: commands.queryMigrations,
    description:
      'Lists outgoing and incoming migrations, newest first, with size, time and downtime. The figures of a running migration ' +
      'grow. The history survives a restart.',
    input: 'query',
    headers: STATUS_CONDITIONAL_HEADERS,
    replies: {
      200: { description: 'A page of migrations.', schema: MigrationPage, headers: { ...TAGGED, ...LINK } },
      304: NOT_MODIFIED,
    },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.queryMigrations,
    handle: sendRows,
  },
  {
    method: 'GET',
    path: '/migrations/:id',
    id: 'queryMigration',
    tag: 'history',
    command: commands.queryMigration,
    description: 'Returns the settings at the start of the migration, each pass, and the final figures.',
    input: 'query',
    headers: STATUS_CONDITIONAL_HEADERS,
    replies: { 200: { description: 'The migration.', schema: MigrationDetail, headers: TAGGED }, 304: NOT_MODIFIED },
    errors: ['migration_not_found'],
    examples: examples.queryMigration,
    handle: sendRows,
  },
  {
    method: 'GET',
    path: '/migrations/:id/samples',
    id: 'querySamples',
    tag: 'history',
    command: commands.querySamples,
    description: 'The service takes a sample about every 100 ms.',
    input: 'query',
    replies: { 200: { description: 'A page of samples.', schema: MigrationSamplePage, headers: LINK } },
    errors: ['migration_not_found', 'invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.querySamples,
    handle: sendPage,
  },
];

type Row = { readonly id: string; readonly status: string };

/** Sends rows whose figures grow while a migration runs. With `Prefer: until=status` only ids and statuses are compared. */
function sendRows(call: Call): ReturnType<typeof sendContentTagged> {
  const { domain } = call.context;
  const of = (result: unknown): unknown => {
    const rows = (result as { readonly migrations?: readonly Row[] }).migrations ?? [result as Row];
    return rows.map(({ id, status }) => [id, status]);
  };
  return sendContentTagged(call, watchMigration(domain), { status: { of, watched: watchState(domain) } });
}

export const auditOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/audit',
    id: 'queryAudit',
    tag: 'service',
    command: commands.queryAudit,
    description:
      'Lists every call of a command that needs the role operator, and the refused calls of viewers: the caller, the time and the ' +
      'outcome. The newest 100000 calls and the newest 10000 refusals are kept.',
    input: 'query',
    replies: { 200: { description: 'A page of the audit trail.', schema: AuditPage, headers: LINK } },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.queryAudit,
    handle: sendPage,
  },
];
