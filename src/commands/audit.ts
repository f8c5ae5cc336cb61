import type { Static } from 'typebox';
import type { AuditRecord } from '../domain/ports/store.ts';
import { command } from './command.ts';
import { AuditPage, AuditQuery, type AuditRow } from './schemas/audit.ts';
import { PAGE_LIMIT_DEFAULT } from './schemas/history.ts';
import { timeRangeOf } from './time-range.ts';

/* Who asked for what. */

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
