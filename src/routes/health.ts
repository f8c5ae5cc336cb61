import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import * as examples from './examples/service.ts';
import type { Call, Operation } from './operation.ts';
import { sendJson } from './register.ts';

const Health = Type.Object({ status: Type.Literal('ok') });
const Ready = Type.Object({
  ready: Type.Boolean(),
  checks: Type.Record(Type.String(), Type.String(), { description: 'ok, or what is wrong.' }),
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
    description: 'Each check names a part of the service: ok, or the reason why that part cannot work.',
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

async function sendReadiness({ reply, context }: Call): Promise<FastifyReply> {
  const readiness = context.readiness();
  return sendJson(reply.header('cache-control', 'no-store').code(readiness.ready ? 200 : 503), readiness);
}
