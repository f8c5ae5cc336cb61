import { DomainError } from '../domain/errors.ts';
import { JsonFraction } from '../text/json.ts';
import { command } from './command.ts';
import { Empty, Int64 } from './schemas/common.ts';
import {
  Blocker,
  BlockerAddArguments,
  BlockerId,
  BlockerList,
  DowntimeArguments,
  MigrateSetCapabilitiesArguments,
  MigrateSetParameters,
  MigrationCapabilityStatusList,
  MigrationParameters,
  SizeArguments,
} from './schemas/settings.ts';

/*
 * Capabilities, parameters and blockers of migrations, and commands of older schemas that set one parameter. A change answers with
 * all capabilities or all parameters after it.
 */

export const queryMigrateCapabilities = command({
  name: 'query-migrate-capabilities',
  summary: 'Every capability and whether it is on',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: MigrationCapabilityStatusList,
  run: (domain) => domain.settings.capabilities(),
});

export const migrateSetCapabilities = command({
  name: 'migrate-set-capabilities',
  summary: 'Switch capabilities on or off: all changes are made, or none',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: MigrateSetCapabilitiesArguments,
  result: MigrationCapabilityStatusList,
  run: (domain, { capabilities }, { expectedVersion }) => {
    domain.settings.setCapabilities(capabilities, expectedVersion);
    return domain.settings.capabilities();
  },
  check: (domain, { capabilities }) => {
    if (Array.isArray(capabilities)) domain.settings.checkCapabilities(capabilities);
  },
});

export const queryMigrateParameters = command({
  name: 'query-migrate-parameters',
  summary: 'Every parameter and its value',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: MigrationParameters,
  run: (domain) => domain.settings.parameters(),
});

export const migrateSetParameters = command({
  name: 'migrate-set-parameters',
  summary: 'Set parameters: all changes are made, or none',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: MigrateSetParameters,
  result: MigrationParameters,
  run: (domain, change, { expectedVersion }) => {
    domain.settings.setParameters(change, expectedVersion);
    return domain.settings.parameters();
  },
  check: (domain, members) => domain.settings.checkParameters(members),
});

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
  result: Int64({ description: 'Bytes.' }),
  run: (domain) => domain.settings.parameters()['xbzrle-cache-size'] as number | bigint,
});

/** Converts seconds. @throws DomainError if the milliseconds are not a safe integer; the parameter checks its own range */
function wholeMilliseconds(value: unknown): number | bigint {
  const seconds = value instanceof JsonFraction ? value.value : Number(value);
  const milliseconds = Math.trunc(seconds * MS_PER_SECOND);
  if (Number.isSafeInteger(milliseconds)) return milliseconds;
  const reason = `value is ${seconds} s, which is outside the range of times`;
  throw new DomainError('value_out_of_range', `${reason}.`, { violations: [{ pointer: '/value', reason }] });
}

export const queryBlockers = command({
  name: 'x-ferry-query-blockers',
  summary: 'The blockers: reasons that forbid an outgoing migration now',
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: BlockerList,
  run: (domain) => ({ blockers: domain.blockers.list(), 'only-migratable': domain.blockers.isOnlyMigratable }),
});

export const addBlocker = command({
  name: 'x-ferry-add-blocker',
  summary: 'Add a blocker: forbid outgoing migrations, with a reason',
  qapi: null,
  role: 'operator',
  begins: true,
  arguments: BlockerAddArguments,
  result: Blocker,
  run: (domain, { reason }) => domain.blockers.add(reason),
});

export const removeBlocker = command({
  name: 'x-ferry-remove-blocker',
  summary: 'Remove a blocker',
  qapi: null,
  role: 'operator',
  arguments: BlockerId,
  result: Empty,
  run: (domain, { id }) => {
    domain.blockers.remove(id);
    return {};
  },
});
