import * as commands from '../commands/history.ts';
import { MigrationDetail, MigrationPage, MigrationSamplePage } from '../commands/schemas/history.ts';
import { watchState } from '../commands/waiting.ts';
import * as examples from './examples/migrations.ts';
import { CONDITIONAL_HEADERS, LINK, NOT_MODIFIED, sendContentTagged, sendPage, TAGGED } from './http/answers.ts';
import type { Operation } from './operation.ts';

export const migrationsOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/migrations',
    id: 'queryMigrations',
    tag: 'history',
    command: commands.queryMigrations,
    description: 'Newest first, outgoing and incoming ones. The history survives a restart.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: {
      200: { description: 'A page of migrations.', schema: MigrationPage, headers: { ...TAGGED, ...LINK } },
      304: NOT_MODIFIED,
    },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.queryMigrations,
    handle: (call) => sendContentTagged(call, watchState(call.context.domain)),
  },
  {
    method: 'GET',
    path: '/migrations/:id',
    id: 'queryMigration',
    tag: 'history',
    command: commands.queryMigration,
    description: 'The settings it began with, each pass, and the final figures.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: { 200: { description: 'The migration.', schema: MigrationDetail, headers: TAGGED }, 304: NOT_MODIFIED },
    errors: ['migration_not_found'],
    examples: examples.queryMigration,
    handle: (call) => sendContentTagged(call, watchState(call.context.domain)),
  },
  {
    method: 'GET',
    path: '/migrations/:id/samples',
    id: 'querySamples',
    tag: 'history',
    command: commands.querySamples,
    description: 'A sample about every 100 ms.',
    input: 'query',
    replies: { 200: { description: 'A page of samples.', schema: MigrationSamplePage, headers: LINK } },
    errors: ['migration_not_found', 'invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.querySamples,
    handle: sendPage,
  },
];
