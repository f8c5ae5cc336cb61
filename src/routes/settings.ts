import { MigrationCapabilityStatusList, MigrationParameters } from '../commands/schemas/settings.ts';
import * as commands from '../commands/settings.ts';
import { watchSettings } from '../commands/waiting.ts';
import * as examples from './examples/settings.ts';
import { sendGuardedChange, sendStronglyTagged, WAIT_GRANTED } from './http/answers.ts';
import type { Operation } from './operation.ts';

const READ_HEADERS = {
  'If-None-Match': 'A tag seen before: 304 if nothing has changed since.',
  Prefer: 'wait=SECONDS (60 at most): with If-None-Match, the answer comes when something changes.',
};
const CHANGE_HEADERS = { 'If-Match': 'The tag that the change is based on: 412 if the settings have changed since.' };
const TAGGED = { ETag: 'Names this version of the settings.' };
const READ = { ...TAGGED, ...WAIT_GRANTED };

export const settingsOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/migrate/capabilities',
    id: 'queryMigrateCapabilities',
    tag: 'settings',
    command: commands.queryMigrateCapabilities,
    description: 'Every capability with its state. The ETag guards a later change with If-Match.',
    input: 'query',
    headers: READ_HEADERS,
    replies: {
      200: { description: 'All of them.', schema: MigrationCapabilityStatusList, headers: READ },
      304: { description: 'Nothing has changed since the tag given.', schema: null, headers: READ },
    },
    errors: [],
    examples: examples.queryCapabilities,
    handle: (call) => sendStronglyTagged(call, watchSettings(call.context.domain, 'capabilities')),
  },
  {
    method: 'PATCH',
    path: '/migrate/capabilities',
    id: 'migrateSetCapabilities',
    tag: 'settings',
    command: commands.migrateSetCapabilities,
    description: 'All of the changes given or none; those left out stay as they are. Kept over restarts.',
    input: 'body',
    headers: CHANGE_HEADERS,
    replies: {
      200: { description: 'All of them, afterwards.', schema: MigrationCapabilityStatusList, headers: TAGGED },
    },
    errors: [
      'unknown_capability',
      'incompatible_capabilities',
      'capability_not_available',
      'migration_in_progress',
      'too_late_to_set',
      'settings_changed',
    ],
    examples: examples.setCapabilities,
    handle: (call) => {
      const { settings } = call.context.domain;
      return sendGuardedChange(call, watchSettings(call.context.domain, 'capabilities'), () => settings.capabilities());
    },
  },
  {
    method: 'GET',
    path: '/migrate/parameters',
    id: 'queryMigrateParameters',
    tag: 'settings',
    command: commands.queryMigrateParameters,
    description: 'Every parameter with its value. The ETag guards a later change with If-Match.',
    input: 'query',
    headers: READ_HEADERS,
    replies: {
      200: { description: 'All of them.', schema: MigrationParameters, headers: READ },
      304: { description: 'Nothing has changed since the tag given.', schema: null, headers: READ },
    },
    errors: [],
    examples: examples.queryParameters,
    handle: (call) => sendStronglyTagged(call, watchSettings(call.context.domain, 'parameters')),
  },
  {
    method: 'PATCH',
    path: '/migrate/parameters',
    id: 'migrateSetParameters',
    tag: 'settings',
    command: commands.migrateSetParameters,
    description:
      'All of the values given or none; those left out stay as they are. Kept over restarts. max-bandwidth, ' +
      'avail-switchover-bandwidth and downtime-limit take effect on a migration under way.',
    input: 'body',
    headers: CHANGE_HEADERS,
    replies: { 200: { description: 'All of them, afterwards.', schema: MigrationParameters, headers: TAGGED } },
    errors: ['incompatible_parameters', 'parameter_not_available', 'too_late_to_set', 'settings_changed'],
    examples: examples.setParameters,
    handle: (call) => {
      const { settings } = call.context.domain;
      return sendGuardedChange(call, watchSettings(call.context.domain, 'parameters'), () => settings.parameters());
    },
  },
];
