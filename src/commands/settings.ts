import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import {
  MigrateSetCapabilitiesArguments,
  MigrateSetParameters,
  MigrationCapabilityStatusList,
  MigrationParameters,
} from './schemas/settings.ts';

/* Capabilities and parameters. The answer of a change is all capabilities, or all parameters, after it. */

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
  summary: 'Switch capabilities on or off: all of those given, or none',
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
  summary: 'Set parameters: all of those given, or none',
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
