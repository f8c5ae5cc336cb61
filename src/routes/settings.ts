import type { FastifyReply } from 'fastify';
import {
  Blocker,
  BlockerList,
  MigrationCapabilityStatusList,
  MigrationParameters,
} from '../commands/schemas/settings.ts';
import * as commands from '../commands/settings.ts';
import { watchSettings } from '../commands/waiting.ts';
import * as examples from './examples/migrate.ts';
import { sendGuardedChange, sendStronglyTagged, WAIT_GRANTED } from './http/answers.ts';
import type { Call, Operation } from './operation.ts';
import { sendJson } from './register.ts';

const READ_HEADERS = {
  'If-None-Match': 'An entity tag from an earlier answer. The answer is 304 if nothing has changed since then.',
  Prefer: 'wait=SECONDS (at most 60): with If-None-Match, the service answers when something changes.',
};
const CHANGE_HEADERS = { 'If-Match': 'The tag that the change is based on: 412 if the settings have changed.' };
const TAGGED = { ETag: 'The entity tag of the settings.' };
const READ = { ...TAGGED, ...WAIT_GRANTED };

export const settingsOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/migrate/capabilities',
    id: 'queryMigrateCapabilities',
    tag: 'settings',
    command: commands.queryMigrateCapabilities,
    description: 'Lists every capability with its state. Send the ETag as If-Match to make a later change conditional.',
    input: 'query',
    headers: READ_HEADERS,
    replies: {
      200: { description: 'All capabilities.', schema: MigrationCapabilityStatusList, headers: READ },
      304: { description: 'Nothing has changed since the answer with this entity tag.', schema: null, headers: READ },
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
    description:
      'Makes all of the changes or none. Omitted capabilities do not change. The settings survive a restart.',
    input: 'body',
    headers: CHANGE_HEADERS,
    replies: {
      200: {
        description: 'All capabilities after the change.',
        schema: MigrationCapabilityStatusList,
        headers: TAGGED,
      },
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
    description: 'Lists every parameter with its value. Send the ETag as If-Match to make a later change conditional.',
    input: 'query',
    headers: READ_HEADERS,
    replies: {
      200: { description: 'All parameters.', schema: MigrationParameters, headers: READ },
      304: { description: 'Nothing has changed since the answer with this entity tag.', schema: null, headers: READ },
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
      'Makes all of the changes or none. Omitted parameters do not change. The settings survive a restart. max-bandwidth, ' +
      'avail-switchover-bandwidth and downtime-limit also take effect on a running migration.',
    input: 'body',
    headers: CHANGE_HEADERS,
    replies: { 200: { description: 'All parameters after the change.', schema: MigrationParameters, headers: TAGGED } },
    errors: ['incompatible_parameters', 'parameter_not_available', 'too_late_to_set', 'settings_changed'],
    examples: examples.setParameters,
    handle: (call) => {
      const { settings } = call.context.domain;
      return sendGuardedChange(call, watchSettings(call.context.domain, 'parameters'), () => settings.parameters());
    },
  },
];

export const blockersOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/migrate/blockers',
    id: 'queryBlockers',
    tag: 'settings',
    command: commands.queryBlockers,
    description: 'While a blocker exists, no outgoing migration can start.',
    input: 'query',
    replies: { 200: { description: 'All blockers.', schema: BlockerList } },
    errors: [],
    examples: examples.queryBlockers,
  },
  {
    method: 'POST',
    path: '/migrate/blockers',
    id: 'addBlocker',
    tag: 'settings',
    command: commands.addBlocker,
    description:
      'The blocker exists until it is removed or the service ends. A blocker cannot be added while a migration runs.',
    input: 'body',
    replies: {
      201: {
        description: 'The blocker was added; outgoing migrations are refused.',
        schema: Blocker,
        headers: { Location: 'Path of the blocker.' },
      },
    },
    errors: ['too_many_blockers', 'migration_in_progress', 'job_in_progress', 'only_migratable'],
    examples: examples.addBlocker,
    handle: sendCreated,
  },
  {
    method: 'DELETE',
    path: '/migrate/blockers/:id',
    id: 'removeBlocker',
    tag: 'settings',
    command: commands.removeBlocker,
    description: 'Outgoing migrations can start again when no blocker is left.',
    input: 'nothing',
    replies: { 204: { description: 'The blocker was removed.', schema: null } },
    errors: ['blocker_not_found'],
    examples: examples.removeBlocker,
    handle: sendRemoved,
  },
];

async function sendCreated(call: Call): Promise<FastifyReply> {
  const blocker = (await call.run()) as { readonly id: string };
  return sendJson(call.reply.code(201).header('location', `/migrate/blockers/${blocker.id}`), blocker);
}

async function sendRemoved(call: Call): Promise<FastifyReply> {
  await call.run();
  return call.reply.code(204).send();
}
