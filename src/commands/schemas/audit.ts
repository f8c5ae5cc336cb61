import { Type } from 'typebox';
import { Timestamp } from './common.ts';
import { paging, timeRange } from './history.ts';

/* The audit trail. Times are ISO 8601 in UTC, durations milliseconds. */

const orNull = <S extends Parameters<typeof Type.Array>[0]>(schema: S) => Type.Union([schema, Type.Null()]);

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
