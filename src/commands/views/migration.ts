import type { Static } from 'typebox';
import { readExactJson } from '../../domain/exact-json.ts';
import { noteOf } from '../../domain/migration/migration-failure.ts';
import type { PassFigures } from '../../domain/ports/migration-session.ts';
import type { MigrationRecord, MigrationSample } from '../../domain/ports/store.ts';
import { TRANSFER_ERRORS } from '../../domain/ports/transfer-errors.ts';
import type { Role } from '../command.ts';
import type { Migration, MigrationDetail, MigrationPass, MigrationSample as SampleView } from '../schemas/history.ts';

/* Views of the migration history: names as in QAPI, times in ISO 8601. */

/** A row without its settings and result. A viewer does not see the command of an exec: address. */
export function migrationView(given: MigrationRecord, role: Role | undefined): Static<typeof Migration> {
  const record = role === 'viewer' ? withoutCommand(given) : given;
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
    'shared-id': record.sharedId,
    transferred: record.transferredBytes,
    'total-time': record.totalTimeMs,
    downtime: record.downtimeMs,
  };
}

/** A row with its settings, result and passes. The time line is a separate query. */
export function migrationDetailView(record: MigrationRecord, passes: readonly PassFigures[], role: Role | undefined) {
  return {
    ...migrationView(record, role),
    settings: readExactJson(record.settingsJson) as Static<typeof MigrationDetail>['settings'],
    result: resultView(record, role),
    passes: passes.map(passView),
  };
}

function resultView(record: MigrationRecord, role: Role | undefined): Static<typeof MigrationDetail>['result'] {
  if (record.resultJson === null) return null;
  const result = readExactJson(record.resultJson) as NonNullable<Static<typeof MigrationDetail>['result']>;
  if (role !== 'viewer' || result['error-desc'] === undefined || !record.uri.startsWith(COMMAND)) return result;
  return { ...result, 'error-desc': withoutCommand(record).errorDescription ?? '' };
}

const COMMAND = 'exec:';

/**
 * The row without the command of an exec: address. The command may contain passwords, and its output may repeat them, so only
 * the title of the error code remains of the error text.
 */
export function withoutCommand(record: MigrationRecord): MigrationRecord {
  if (!record.uri.startsWith(COMMAND)) return record;
  const { errorCode } = record;
  const known = errorCode !== null && Object.hasOwn(TRANSFER_ERRORS, errorCode);
  const description = known ? TRANSFER_ERRORS[errorCode as keyof typeof TRANSFER_ERRORS] : errorCode;
  return { ...record, uri: COMMAND, errorDescription: description };
}

/** A sample of the time line of a migration. */
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
