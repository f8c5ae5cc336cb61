import * as commands from '../commands/history.ts';
import { MigrationDetail, MigrationPage, MigrationSamplePage } from '../commands/schemas/history.ts';
import * as examples from './examples/migrations.ts';
import { LINK, sendPage } from './http/answers.ts';
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
    replies: { 200: { description: 'A page of migrations.', schema: MigrationPage, headers: LINK } },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.queryMigrations,
    handle: sendPage,
  },
  {
    method: 'GET',
    path: '/migrations/:id',
    id: 'queryMigration',
    tag: 'history',
    command: commands.queryMigration,
    description: 'The settings it began with, each pass, and the final figures.',
    input: 'query',
    replies: { 200: { description: 'The migration.', schema: MigrationDetail } },
    errors: ['migration_not_found'],
    examples: examples.queryMigration,
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
