import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import * as examples from './examples/service.ts';
import type { Call, Operation } from './operation.ts';
import { sendJson } from './register.ts';

const Health = Type.Object({ status: Type.Literal('ok') });
const Ready = Type.Object({
  ready: Type.Boolean(),
  checks: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description: 'ok, or what is wrong, by part: data, service, guest. Only for callers who may look at the service.',
    }),
  ),
});

export const healthOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/healthz',
    id: 'getHealth',
    tag: 'service',
    command: null,
    summary: 'Whether the process lives',
    description: 'Needs no token. The answer comes as long as the process handles requests.',
    input: 'query',
    replies: { 200: { description: 'It lives.', schema: Health } },
    errors: [],
    examples: examples.health,
    handle: async ({ reply }) => sendJson(reply.header('cache-control', 'no-store'), { status: 'ok' }),
  },
  {
    method: 'GET',
    path: '/readyz',
    id: 'getReadiness',
    tag: 'service',
    command: null,
    summary: 'Whether the service can do its work',
    description:
      'Each check names a part of the service: ok, or the reason why that part cannot work. The service is not ready while ' +
      'the data directory takes nothing and while it shuts down; a guest that panicked does not change ready. ' +
      'Asked without a token where the service has tokens, the answer has no checks.',
    input: 'query',
    replies: {
      200: { description: 'It can.', schema: Ready },
      503: { description: 'It cannot; checks say why.', schema: Ready },
    },
    errors: [],
    examples: examples.readiness,
    handle: sendReadiness,
  },
];

async function sendReadiness({ request, reply, context }: Call): Promise<FastifyReply> {
  const { ready, checks } = context.readiness();
  // Checks have paths and what the guest's self-check found.
  const answer = request.access.isAuthenticated ? { ready, checks } : { ready };
  return sendJson(reply.header('cache-control', 'no-store').code(ready ? 200 : 503), answer);
}
