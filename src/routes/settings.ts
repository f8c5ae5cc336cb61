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

export const blockersOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/migrate/blockers',
    id: 'queryBlockers',
    tag: 'settings',
    command: commands.queryBlockers,
    description: 'While a blocker stands, no outgoing migration can begin.',
    input: 'query',
    replies: { 200: { description: 'All of them.', schema: BlockerList } },
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
      'The blocker stands until it is removed or the service ends. None can be added while a migration runs.',
    input: 'body',
    replies: {
      201: {
        description: 'Outgoing migrations are forbidden.',
        schema: Blocker,
        headers: { Location: 'The blocker.' },
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
    description: 'Migrations can begin again once no blocker stands.',
    input: 'nothing',
    replies: { 204: { description: 'The reason is gone.', schema: null } },
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
