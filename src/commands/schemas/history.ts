import { Type } from 'typebox';
import { GUEST_OWNERS } from '../../domain/ports/migration-session.ts';
import { Int64, Text, Timestamp, Uuid } from './common.ts';
import { MigrationInfo, MigrationStatus } from './migrate.ts';
import { MigrationParameters } from './settings.ts';

/* The migration history. Times are ISO 8601 in UTC, durations are in milliseconds, sizes in bytes. */

export const PAGE_LIMIT_MAX = 1000;
export const PAGE_LIMIT_DEFAULT = 100;
const CURSOR_LENGTH_MAX = 256;

export const MigrationDirection = Type.Enum(['outgoing', 'incoming']);

const orNull = <S extends Parameters<typeof Type.Array>[0]>(schema: S) => Type.Union([schema, Type.Null()]);

export const MigrationError = Type.Object({ code: Type.String(), desc: Type.String() });

export const Migration = Type.Object({
  id: Uuid(),
  direction: MigrationDirection,
  uri: Type.String(),
  status: MigrationStatus,
  'started-at': Timestamp(),
  'ended-at': orNull(
    Timestamp({ description: '`started-at` plus the duration of the migration by the monotonic clock.' }),
  ),
  error: orNull(MigrationError),
  guest: orNull(Type.Enum([...GUEST_OWNERS], { description: 'The side that has the guest.' })),
  note: orNull(Type.String({ description: 'Additional information about a migration that did not fail.' })),
  'shared-id': orNull(
    Uuid({ description: 'The `id` of the row at the source. Both sides show it if both are vmferry services.' }),
  ),
  transferred: orNull(
    Int64({
      description: 'Size of the stream in bytes, so far or in total; null before the stream begins or if unknown.',
    }),
  ),
  'total-time': orNull(
    Int64({
      description: 'Duration in milliseconds, so far or in total; null if transferred is null, and after a crash.',
    }),
  ),
  downtime: orNull(
    Int64({
      description: 'Milliseconds for which the guest was stopped; null unless this side sent the guest to another.',
    }),
  ),
});

export const MigrationPass = Type.Object({
  pass: Int64(),
  'started-ms': Type.Number({ description: 'Milliseconds after `started-at`.' }),
  'duration-ms': Type.Number(),
  'sent-bytes': Int64(),
  'normal-pages': Int64(),
  'duplicate-pages': Int64(),
  'dirty-bytes': Int64({ description: 'Bytes in dirty pages, found by the synchronisation at the end of the pass.' }),
});

export const MigrationDetail = Type.Object({
  ...Migration.properties,
  settings: Type.Object({
    capabilities: Type.Array(Type.String(), { description: 'The capabilities that were on.' }),
    parameters: MigrationParameters,
  }),
  result: orNull(MigrationInfo),
  passes: Type.Array(MigrationPass),
});

export const MigrationSample = Type.Object({
  'at-ms': Type.Number({ description: 'Milliseconds after `started-at`.' }),
  status: MigrationStatus,
  'transferred-bytes': Int64(),
  'remaining-bytes': Int64(),
  bandwidth: Type.Number({ description: 'Bytes per second.' }),
  'dirty-pages-rate': Type.Number(),
  'expected-downtime-ms': Type.Number(),
  pass: Int64(),
});

const next = Type.Union([Type.String(), Type.Null()], { description: 'Cursor of the next page, or null at the end.' });

export const MigrationPage = Type.Object({ migrations: Type.Array(Migration), next });
export const MigrationSamplePage = Type.Object({ samples: Type.Array(MigrationSample), next });

export const paging = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX, default: PAGE_LIMIT_DEFAULT })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: CURSOR_LENGTH_MAX })),
};

/** The time range of a list's query. `timeName` is the name of the compared time of a row. */
export const timeRange = (timeName: string) => ({
  'started-after': Type.Optional(
    Timestamp({
      description: `Only rows whose ${timeName} is later than this; then the list is in the order of ${timeName}.`,
    }),
  ),
  'started-before': Type.Optional(Timestamp({ description: `Only rows whose ${timeName} is earlier than this.` })),
});

export const MigrationsQuery = Type.Object(
  {
    ...paging,
    ...timeRange('started-at'),
    status: Type.Optional(MigrationStatus),
    direction: Type.Optional(MigrationDirection),
  },
  { additionalProperties: false },
);

export const MigrationId = Type.Object({ id: Text('Identifier of a migration.') }, { additionalProperties: false });

export const MigrationSamplesQuery = Type.Object({ id: Text(), ...paging }, { additionalProperties: false });

/* The audit trail. Times are ISO 8601 in UTC, durations are in milliseconds. */

export const AuditQuery = Type.Object({ ...paging, ...timeRange('at') }, { additionalProperties: false });

export const AuditRow = Type.Object({
  id: Type.Integer({ description: 'Increases with every row. Missing numbers are rows that are no longer kept.' }),
  at: Timestamp({ description: 'Time of the request.' }),
  door: orNull(Type.String({ description: 'The interface of the request: http, qmp or hmp.' })),
  caller: Type.String({
    description: '`token-` and the first digits of the SHA-256 of the token; `anyone` for a caller without a token.',
  }),
  address: orNull(Type.String({ description: 'Address of the caller.' })),
  'request-id': orNull(Type.String({ description: 'The X-Request-Id of the request.' })),
  command: Type.String({
    description: 'Name of the command as in QMP. Commands that QEMU does not have begin with x-ferry-.',
  }),
  arguments: Type.String({ description: 'The arguments as JSON text, without secrets, cut after 2048 characters.' }),
  outcome: Type.Enum(['running', 'succeeded', 'failed', 'refused', 'unknown'], {
    description: 'refused: the token did not allow the command. unknown: the service ended before the command did.',
  }),
  code: orNull(Type.String({ description: 'Error code of a failed or refused command.' })),
  'duration-ms': orNull(Type.Number({ description: 'Duration of the command. Work that it started can last longer.' })),
});

export const AuditPage = Type.Object({ audit: Type.Array(AuditRow), next: orNull(Type.String()) });
