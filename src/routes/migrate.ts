import { Type } from 'typebox';
import * as commands from '../commands/migrate.ts';
import { Migration } from '../commands/schemas/history.ts';
import { CancelResult, MigrationInfo, MigrationProgress } from '../commands/schemas/migrate.ts';
import { watchMigration } from '../commands/waiting.ts';
import * as examples from './examples/migrate.ts';
import { MIGRATION, sendAccepted } from './http/accepted-work.ts';
import {
  CONDITIONAL_HEADERS,
  LIVE_RECHECK_MS,
  NOT_MODIFIED,
  STATUS_CONDITIONAL_HEADERS,
  sendContentTagged,
  sendWeaklyTagged,
  TAGGED,
  WAIT_GRANTED,
} from './http/answers.ts';
import { KEY_ERRORS, KEY_HEADERS } from './http/idempotency-key.ts';
import type { Operation, Reply } from './operation.ts';
import { PROBLEM_TYPE } from './plugins/problem-details.ts';

const WAIT_HEADERS = { Prefer: 'wait=SECONDS (at most 60): the service answers when the migration has ended.' };
const PLACED = {
  Location: 'Path of the migration.',
  ...WAIT_GRANTED,
  'Idempotency-Replayed': 'true if an earlier request with the same key started the migration.',
};

const ACCEPTED: Readonly<Record<number, Reply>> = {
  200: {
    description: 'With Prefer: wait: the migration has ended; status tells its outcome.',
    schema: Migration,
    headers: PLACED,
  },
  202: {
    description: 'The migration is running.',
    schema: Migration,
    headers: PLACED,
  },
};

const START_ERRORS = [
  'uri_or_channels',
  'invalid_address',
  'transport_not_available',
  'transport_unsuitable',
  'exec_not_allowed',
  'file_outside_root',
  'not_a_plain_file',
  'migration_in_progress',
] as const;

/** Errors of the operating system while an incoming migration binds its address. */
const LISTEN_ERRORS = [
  'address_in_use',
  'address_not_available',
  'no_such_file',
  'not_a_plain_file',
  'permission_denied',
] as const;

/** Answer of the post-copy commands while no migration is in its post-copy phase. */
const NOT_IN_POSTCOPY: Reply = {
  description: 'No migration is in its post-copy phase.',
  schema: Type.Object({ status: Type.Integer(), code: Type.String() }),
  type: PROBLEM_TYPE,
};

export const migrateOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/migrate',
    id: 'queryMigrate',
    tag: 'migration',
    command: commands.queryMigrate,
    description:
      'Before the first migration the answer is an empty object. The figures are read from shared memory, so this request is cheap.',
    input: 'query',
    headers: STATUS_CONDITIONAL_HEADERS,
    replies: {
      200: { description: 'The current figures.', schema: MigrationInfo, headers: TAGGED },
      304: NOT_MODIFIED,
    },
    errors: [],
    examples: examples.queryMigrate,
    handle: (call) => sendWeaklyTagged(call, watchMigration(call.context.domain)),
  },
  {
    method: 'POST',
    path: '/migrate',
    id: 'migrate',
    tag: 'migration',
    command: commands.migrate,
    description:
      'Give exactly one of uri and channels. If the peer cannot be reached, the migration fails; its status and error tell so.',
    input: 'body',
    headers: { ...WAIT_HEADERS, ...KEY_HEADERS },
    replies: ACCEPTED,
    errors: [
      ...START_ERRORS,
      ...KEY_ERRORS,
      'job_in_progress',
      'migration_blocked',
      'machine_postmigrate',
      'machine_inmigrate',
      'machine_not_loaded',
      'not_postcopy_paused',
    ],
    examples: examples.migrate,
    handle: (call) => sendAccepted(call, MIGRATION),
  },
  {
    method: 'POST',
    path: '/migrate/cancel',
    id: 'migrateCancel',
    tag: 'migration',
    command: commands.migrateCancel,
    description: 'A migration is either cancelled or completed, never both; the answer tells which.',
    input: 'nothing',
    replies: { 200: { description: 'The outcome of the cancel.', schema: CancelResult } },
    errors: [],
    examples: examples.migrateCancel,
  },
  {
    method: 'POST',
    path: '/migrate/continue',
    id: 'migrateContinue',
    tag: 'migration',
    command: commands.migrateContinue,
    description:
      'For migrations with the capability pause-before-switchover. state is the status to leave: pre-switchover.',
    input: 'body',
    replies: { 200: { description: 'The migration continues.', schema: MigrationInfo } },
    errors: ['not_in_expected_state'],
    examples: examples.migrateContinue,
  },
  {
    method: 'POST',
    path: '/migrate/incoming',
    id: 'migrateIncoming',
    tag: 'migration',
    command: commands.migrateIncoming,
    description:
      'Possible in a service started with --incoming defer, after a failed incoming migration, and after the guest has left ' +
      '(run state postmigrate). The service answers when the address is bound. socket-address of GET /migrate has the port ' +
      'that the system chose for port 0.',
    input: 'body',
    headers: { ...WAIT_HEADERS, ...KEY_HEADERS },
    replies: ACCEPTED,
    errors: [
      ...START_ERRORS,
      ...KEY_ERRORS,
      'job_in_progress',
      'not_expecting_incoming',
      'incompatible_parameters',
      ...LISTEN_ERRORS,
    ],
    examples: examples.migrateIncoming,
    handle: (call) => sendAccepted(call, MIGRATION),
  },
  {
    method: 'DELETE',
    path: '/migrate/incoming',
    id: 'stopListening',
    tag: 'migration',
    command: commands.stopListening,
    description:
      'Cancels the incoming migration that is waiting and releases its address. If the guest had left before, the run state is ' +
      'postmigrate again.',
    input: 'nothing',
    replies: { 204: { description: 'The service does not listen for a migration any more.', schema: null } },
    errors: ['not_expecting_incoming', 'migration_in_progress'],
    examples: examples.stopListening,
    handle: async (call) => {
      await call.run();
      return call.reply.code(204).send();
    },
  },
  {
    method: 'POST',
    path: '/migrate/pause',
    id: 'migratePause',
    tag: 'migration',
    command: commands.migratePause,
    description: 'Possible only in the post-copy phase of a migration.',
    input: 'nothing',
    replies: { 200: { description: 'The migration is paused.', schema: MigrationInfo }, 409: NOT_IN_POSTCOPY },
    errors: ['not_in_postcopy'],
    examples: examples.migratePause,
  },
  {
    method: 'POST',
    path: '/migrate/recover',
    id: 'migrateRecover',
    tag: 'migration',
    command: commands.migrateRecover,
    description: 'Possible only on the target of an interrupted post-copy migration.',
    input: 'body',
    replies: { 200: { description: 'The target listens again.', schema: MigrationInfo }, 409: NOT_IN_POSTCOPY },
    errors: ['not_postcopy_paused'],
    examples: examples.migrateRecover,
  },
  {
    method: 'POST',
    path: '/migrate/start-postcopy',
    id: 'migrateStartPostcopy',
    tag: 'migration',
    command: commands.migrateStartPostcopy,
    description: 'Possible only for a migration that was started with the capability postcopy-ram.',
    input: 'nothing',
    replies: { 200: { description: 'The guest moves to the target.', schema: MigrationInfo }, 409: NOT_IN_POSTCOPY },
    errors: ['postcopy_not_enabled', 'not_in_expected_state'],
    examples: examples.migrateStartPostcopy,
  },
  {
    method: 'GET',
    path: '/migrate/progress',
    id: 'queryProgress',
    tag: 'migration',
    command: commands.queryProgress,
    description: 'first-pass-percent never decreases. verdict tells whether the migration converges, and if not, why.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: {
      200: { description: 'The current progress.', schema: MigrationProgress, headers: TAGGED },
      304: NOT_MODIFIED,
    },
    errors: [],
    examples: examples.queryProgress,
    handle: (call) => sendContentTagged(call, watchMigration(call.context.domain), { recheckMs: LIVE_RECHECK_MS }),
  },
];
