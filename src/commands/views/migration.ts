import type { Static } from 'typebox';
import { readExactJson } from '../../domain/exact-json.ts';
import { noteOf } from '../../domain/migration/unconfirmed.ts';
import type { MigrationRecord, MigrationSample } from '../../domain/store-ports.ts';
import type { PassFigures } from '../../domain/transfer-port.ts';
import type { Migration, MigrationDetail, MigrationPass, MigrationSample as SampleView } from '../schemas/history.ts';

/* How rows of the history are shown: QAPI's way of spelling names, times in ISO 8601. */

/** A row, without its settings and result. */
export function migrationView(record: MigrationRecord): Static<typeof Migration> {
  const { id, direction, uri, status, guest } = record;
  return {
    id,
    direction,
    uri,
    status,
    'started-at': timeView(record.startedAt),
    'ended-at': record.endedAt === null ? null : timeView(record.endedAt),
    error: errorView(record),
    guest,
    note: noteOf(record),
  };
}

/** Everything that is known of a migration but its time line. */
export function migrationDetailView(record: MigrationRecord, passes: readonly PassFigures[]) {
  return {
    ...migrationView(record),
    settings: readExactJson(record.settingsJson) as Static<typeof MigrationDetail>['settings'],
    result:
      record.resultJson === null
        ? null
        : (readExactJson(record.resultJson) as Static<typeof MigrationDetail>['result']),
    passes: passes.map(passView),
  };
}

/** A point of the time line. */
export function sampleView(sample: MigrationSample): Static<typeof SampleView> {
  return {
    'at-ms': sample.atMs,
    status: sample.status,
    'transferred-bytes': sample.transferredBytes,
    'remaining-bytes': sample.remainingBytes,
    bandwidth: sample.bandwidth,
    'dirty-pages-rate': sample.dirtyPagesRate,
    'expected-downtime-ms': sample.expectedDowntimeMs,
    pass: sample.pass,
  };
}

function passView(figures: PassFigures): Static<typeof MigrationPass> {
  return {
    pass: figures.pass,
    'started-ms': figures.startedMs,
    'duration-ms': figures.durationMs,
    'sent-bytes': figures.sentBytes,
    'normal-pages': figures.normalPages,
    'duplicate-pages': figures.duplicatePages,
    'dirty-bytes': figures.dirtyBytes,
  };
}

function errorView(record: MigrationRecord): { code: string; desc: string } | null {
  if (record.errorCode === null) return null;
  return { code: record.errorCode, desc: record.errorDescription ?? record.errorCode };
}

function timeView(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
