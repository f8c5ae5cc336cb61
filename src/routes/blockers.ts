import type { FastifyReply } from 'fastify';
import * as commands from '../commands/blockers.ts';
import { Blocker, BlockerList } from '../commands/schemas/blockers.ts';
import * as examples from './examples/blockers.ts';
import type { Call, Operation } from './operation.ts';
import { sendJson } from './register.ts';

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
