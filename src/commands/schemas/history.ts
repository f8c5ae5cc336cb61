import { Type } from 'typebox';
import { GUEST_OWNERS } from '../../domain/ports/migration-session.ts';
import { Int64, Text, Timestamp, Uuid } from './common.ts';
import { MigrationInfo, MigrationStatus } from './migrate.ts';
import { MigrationParameters } from './settings.ts';

/* The migration history. Times are ISO 8601 in UTC, durations milliseconds, sizes bytes. */

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
    Timestamp({ description: '`started-at` and as much as the migration took by the clock that nobody sets.' }),
  ),
  error: orNull(MigrationError),
  guest: orNull(Type.Enum([...GUEST_OWNERS], { description: 'Who has the guest.' })),
  note: orNull(Type.String({ description: 'What there is to know about a migration that did not fail.' })),
  'shared-id': orNull(
    Uuid({ description: 'The `id` of the row at the source, at both sides, where both are vmferrys.' }),
  ),
  transferred: orNull(
    Int64({ description: 'Bytes of the stream, so far or in all; null before it begins and where it is not known.' }),
  ),
  'total-time': orNull(
    Int64({ description: 'In ms, so far or in all; null where transferred is, and after a crash.' }),
  ),
  downtime: orNull(
    Int64({ description: 'In ms: how long the guest stood still. Null unless this side sent the guest away.' }),
  ),
});

export const MigrationPass = Type.Object({
  pass: Int64(),
  'started-ms': Type.Number({ description: 'Counted from `started-at`.' }),
  'duration-ms': Type.Number(),
  'sent-bytes': Int64(),
  'normal-pages': Int64(),
  'duplicate-pages': Int64(),
  'dirty-bytes': Int64({ description: 'Found dirty by the sync at its end.' }),
});

export const MigrationDetail = Type.Object({
  ...Migration.properties,
  settings: Type.Object({
    capabilities: Type.Array(Type.String(), { description: 'Those that were on.' }),
    parameters: MigrationParameters,
  }),
  result: orNull(MigrationInfo),
  passes: Type.Array(MigrationPass),
});

export const MigrationSample = Type.Object({
  'at-ms': Type.Number({ description: 'Counted from `started-at`.' }),
  status: MigrationStatus,
  'transferred-bytes': Int64(),
  'remaining-bytes': Int64(),
  bandwidth: Type.Number({ description: 'Bytes/s.' }),
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

/** Bounds of time of a list. `what` is the time of a row that they are compared with. */
export const timeRange = (what: string) => ({
  'started-after': Type.Optional(
    Timestamp({ description: `Only rows with ${what} later than this; the list is in its order then.` }),
  ),
  'started-before': Type.Optional(Timestamp({ description: `Only rows with ${what} earlier than this.` })),
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

/* The audit trail. Times are ISO 8601 in UTC, durations milliseconds. */

export const AuditQuery = Type.Object({ ...paging, ...timeRange('at') }, { additionalProperties: false });

export const AuditRow = Type.Object({
  id: Type.Integer({ description: 'Grows with every row; gaps are rows that are no longer kept.' }),
  at: Timestamp({ description: 'When it was asked for.' }),
  door: orNull(Type.String({ description: 'http, qmp or hmp.' })),
  caller: Type.String({
    description: 'token-XXXXXXXX, the beginning of the SHA-256 of the token; anyone without one.',
  }),
  address: orNull(Type.String({ description: 'Where the request came from.' })),
  'request-id': orNull(Type.String({ description: 'X-Request-Id of the request.' })),
  command: Type.String({ description: 'As in QMP; x-ferry-… are our own.' }),
  arguments: Type.String({ description: 'JSON text as it was given, cut behind 2048 characters, without secrets.' }),
  outcome: Type.Enum(['running', 'succeeded', 'failed', 'refused', 'unknown'], {
    description: 'refused: the token did not allow it; unknown: the service ended before it did.',
  }),
  code: orNull(Type.String({ description: 'Why it failed or was refused.' })),
  'duration-ms': orNull(Type.Number({ description: 'Until the command was done; what it began may go on.' })),
});

export const AuditPage = Type.Object({ audit: Type.Array(AuditRow), next: orNull(Type.String()) });
