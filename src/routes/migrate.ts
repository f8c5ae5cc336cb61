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

const WAIT_HEADERS = { Prefer: 'wait=SECONDS (60 at most): the answer comes when the migration has ended.' };
const PLACED = {
  Location: 'Where the migration is.',
  ...WAIT_GRANTED,
  'Idempotency-Replayed': 'true, if an earlier request with the same key began it.',
};

const ACCEPTED: Readonly<Record<number, Reply>> = {
  200: {
    description: 'With Prefer: wait, the migration has ended; status says how.',
    schema: Migration,
    headers: PLACED,
  },
  202: {
    description: 'The migration is under way.',
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

/** What the system may refuse where a migration is to come in. */
const LISTEN_ERRORS = [
  'address_in_use',
  'address_not_available',
  'no_such_file',
  'not_a_plain_file',
  'permission_denied',
] as const;

/** Every answer to the verbs of post-copy as long as no migration has such a phase. */
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
    description: 'Before the first migration the answer is empty. Figures come from shared memory: asking is cheap.',
    input: 'query',
    headers: STATUS_CONDITIONAL_HEADERS,
    replies: {
      200: { description: 'The figures now.', schema: MigrationInfo, headers: TAGGED },
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
      'Exactly one of uri and channels. A peer that cannot be reached is a migration that failed: see its status.',
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
    description: 'Exact in every state: a cancel and a completion never both win, and the answer says which did.',
    input: 'nothing',
    replies: { 200: { description: 'What came of it.', schema: CancelResult } },
    errors: [],
    examples: examples.migrateCancel,
  },
  {
    method: 'POST',
    path: '/migrate/continue',
    id: 'migrateContinue',
    tag: 'migration',
    command: commands.migrateContinue,
    description: 'For the capability pause-before-switchover; state is the state to leave: pre-switchover.',
    input: 'body',
    replies: { 200: { description: 'The migration goes on.', schema: MigrationInfo } },
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
      'For a service started with --incoming defer, after an incoming migration failed, and for one whose guest has left ' +
      '(postmigrate). The answer comes when the address is bound; socket-address of GET /migrate tells the port chosen ' +
      'for port 0.',
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
      'The migration that was awaited is cancelled, and its address is free. A machine whose guest had left is in ' +
      'postmigrate again.',
    input: 'nothing',
    replies: { 204: { description: 'Nothing is listened for any more.', schema: null } },
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
    description: 'For a migration in its post-copy phase.',
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
    description: 'For the target of a post-copy migration that was interrupted.',
    input: 'body',
    replies: { 200: { description: 'It listens again.', schema: MigrationInfo }, 409: NOT_IN_POSTCOPY },
    errors: ['not_postcopy_paused'],
    examples: examples.migrateRecover,
  },
  {
    method: 'POST',
    path: '/migrate/start-postcopy',
    id: 'migrateStartPostcopy',
    tag: 'migration',
    command: commands.migrateStartPostcopy,
    description: 'For a migration that was started with the capability postcopy-ram.',
    input: 'nothing',
    replies: { 200: { description: 'The guest goes over.', schema: MigrationInfo }, 409: NOT_IN_POSTCOPY },
    errors: ['postcopy_not_enabled', 'not_in_expected_state'],
    examples: examples.migrateStartPostcopy,
  },
  {
    method: 'GET',
    path: '/migrate/progress',
    id: 'queryProgress',
    tag: 'migration',
    command: commands.queryProgress,
    description: 'The first pass in percent never falls; the verdict says whether the end comes nearer, and why not.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: { 200: { description: 'Progress now.', schema: MigrationProgress, headers: TAGGED }, 304: NOT_MODIFIED },
    errors: [],
    examples: examples.queryProgress,
    handle: (call) => sendContentTagged(call, watchMigration(call.context.domain), { recheckMs: LIVE_RECHECK_MS }),
  },
];
