import type { FastifyReply } from 'fastify';
import { QmpAnswer, QmpEnvelope } from '../commands/schemas/service.ts';
import * as examples from './examples/qmp.ts';
import type { Call, Operation } from './operation.ts';
import { HttpError } from './plugins/http-errors.ts';
import { callContext, sendJson } from './register.ts';

export const qmpOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/qmp',
    id: 'runQmpCommand',
    tag: 'service',
    command: null,
    summary: 'Run any command in the form that it has over QMP',
    description:
      'One envelope in, one out. There is nothing to negotiate, and exec-oob is for sockets. A command that is refused is ' +
      'answered with status 200 too: its error is in the envelope. query-qmp-schema tells all commands and their types.',
    input: 'body',
    body: QmpEnvelope,
    replies: { 200: { description: 'What a QMP socket would answer.', schema: QmpAnswer } },
    errors: ['too_many_requests'],
    examples: examples.qmp,
    handle: answer,
  },
];

async function answer({ context, request, reply }: Call): Promise<FastifyReply> {
  const { body } = request;
  if (body === undefined || body === null)
    throw new HttpError('body_missing', 'POST /qmp needs a JSON object as its body.');
  return sendJson(reply, await context.qmp(body, callContext(context, request, 'qmp')));
}
