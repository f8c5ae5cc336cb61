import { DomainError } from '../domain/errors.ts';
import { JsonFraction } from '../text/json.ts';
import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import { CacheSize, DowntimeArguments, SizeArguments } from './schemas/legacy.ts';
import { MigrationParameters } from './schemas/settings.ts';

/* Commands of older schemas: each sets or shows one parameter. */

const MS_PER_SECOND = 1000;

export const migrateSetSpeed = command({
  name: 'migrate_set_speed',
  summary: 'Set max-bandwidth',
  qapi: { returns: 'nothing', features: ['deprecated'] },
  role: 'operator',
  arguments: SizeArguments,
  result: MigrationParameters,
  run: (domain, { value }) => {
    domain.settings.setParameters({ 'max-bandwidth': value });
    return domain.settings.parameters();
  },
});

export const migrateSetDowntime = command({
  name: 'migrate_set_downtime',
  summary: 'Set downtime-limit, in seconds',
  qapi: { returns: 'nothing', features: ['deprecated'] },
  role: 'operator',
  arguments: DowntimeArguments,
  result: MigrationParameters,
  run: (domain, { value }) => {
    domain.settings.setParameters({ 'downtime-limit': wholeMilliseconds(value) });
    return domain.settings.parameters();
  },
});

export const migrateSetCacheSize = command({
  name: 'migrate-set-cache-size',
  summary: 'Set xbzrle-cache-size',
  qapi: { returns: 'nothing', features: ['deprecated'] },
  role: 'operator',
  arguments: SizeArguments,
  result: MigrationParameters,
  run: (domain, { value }) => {
    domain.settings.setParameters({ 'xbzrle-cache-size': value });
    return domain.settings.parameters();
  },
});

export const queryMigrateCacheSize = command({
  name: 'query-migrate-cache-size',
  summary: 'xbzrle-cache-size, in bytes',
  qapi: { returns: 'result', features: ['deprecated'] },
  role: 'viewer',
  arguments: Empty,
  result: CacheSize,
  run: (domain) => domain.settings.parameters()['xbzrle-cache-size'] as number | bigint,
});

/** @throws DomainError if a whole number of milliseconds cannot hold it; what else is too much, the parameter knows. */
function wholeMilliseconds(value: unknown): number | bigint {
  const seconds = value instanceof JsonFraction ? value.value : Number(value);
  const milliseconds = Math.trunc(seconds * MS_PER_SECOND);
  if (Number.isSafeInteger(milliseconds)) return milliseconds;
  const reason = `value is ${seconds} s, which is no time that could be waited`;
  throw new DomainError('value_out_of_range', `${reason}.`, { violations: [{ pointer: '/value', reason }] });
}
