import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { QmpAnswer, QmpEnvelope } from '../commands/schemas/service.ts';
import { deleteVm, loadVm, queryVmSnapshots, saveVm } from '../commands/snapshots.ts';
import { DomainError } from '../domain/errors.ts';
import * as examples from './examples/service.ts';
import type { MetricsSource } from './metrics/metric-family.ts';
import type { Call, Operation } from './operation.ts';
import { HttpError } from './plugins/problem-details.ts';
import { callContext, sendJson } from './register.ts';

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

export const METRICS_OPERATION: Operation = {
  method: 'GET',
  path: '/metrics',
  id: 'getMetrics',
  tag: 'service',
  command: null,
  summary: 'Figures of the service, for Prometheus',
  description: "Prometheus' text form. Counters begin anew with each process. docs/operating.md lists them.",
  input: 'query',
  replies: { 200: { description: 'The figures.', schema: Type.String(), type: 'text/plain' } },
  errors: [],
  examples: examples.metrics,
};

/** The operation and its state: a registry, made at the first scrape together with the library that it is of. */
export function metricsOperations(source: MetricsSource): readonly Operation[] {
  let registry: Promise<import('@prometheus-io/client').Registry> | null = null;
  return [
    {
      ...METRICS_OPERATION,
      handle: async ({ reply }) => {
        registry ??= import('./metrics/exposition.ts').then(({ metricsRegistry }) => metricsRegistry(source));
        const made = await registry;
        return reply
          .type(made.contentType)
          .header('cache-control', 'no-store')
          .send(await made.metrics());
      },
    },
  ];
}

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

const TEXT = 'text/plain; charset=utf-8';
/** Progress that a reader has not taken yet, in bytes; what comes meanwhile is left out. */
const PROGRESS_BYTES_MAX = 16 * 1024;

export const hmpOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/hmp',
    id: 'runMonitorLine',
    tag: 'service',
    command: null,
    covers: [saveVm, loadVm, deleteVm, queryVmSnapshots],
    summary: 'Run a line of the text monitor',
    description:
      'Commands, arguments and output are those of QEMU 10.0; help lists them. A command that is refused answers 200 with a ' +
      'line that begins with "Error: ". While a migration is waited for, or a snapshot, a line a second says how far it has come.',
    input: 'body',
    bodyType: 'text/plain',
    body: Type.String(),
    replies: { 200: { description: 'What a terminal would show.', schema: Type.String(), type: 'text/plain' } },
    errors: ['line_not_understood', 'too_many_requests'],
    examples: examples.runMonitorLine,
    handle: runLine,
  },
  {
    method: 'GET',
    path: '/hmp/completions',
    id: 'completeMonitorLine',
    tag: 'service',
    command: null,
    summary: 'What the last word of a monitor line may become',
    description: "The completions of a terminal's Tab key: commands, parameters, capabilities and other names.",
    input: 'query',
    query: Type.Object({ line: Type.String({ description: 'The line as far as it was typed.' }) }),
    replies: {
      200: { description: 'Whole words, in order.', schema: Type.Object({ completions: Type.Array(Type.String()) }) },
    },
    errors: ['missing_member'],
    examples: examples.completeMonitorLine,
    handle: complete,
  },
];

/** Answers at once when the line is done; if there is progress to tell before, the answer begins with that. */
async function runLine(call: Call): Promise<FastifyReply> {
  const { context, request, reply, signal } = call;
  if (typeof request.body !== 'string')
    throw new HttpError('body_missing', 'POST /hmp needs a line of text as its body.');
  const begun = Promise.withResolvers<PassThrough>();
  let stream: PassThrough | null = null;
  const progress = (text: string): void => {
    stream ??= new PassThrough();
    begun.resolve(stream);
    if (!stream.destroyed && stream.writableLength < PROGRESS_BYTES_MAX) stream.write(text);
  };
  const asked = callContext(context, request, 'hmp');
  const answer = context.monitor.answer(request.body, { progress, signal, context: asked });
  const first = await Promise.race([answer, begun.promise]);
  reply.type(TEXT).header('cache-control', 'no-store');
  if (first instanceof PassThrough) {
    answer.then(
      ({ text }) => first.end(text),
      (error: Error) => first.destroy(error),
    );
    return reply.send(first);
  }
  if (!first.isCommand) throw new DomainError('line_not_understood', first.text.trimEnd());
  return reply.send(first.text);
}

async function complete({ context, request, reply }: Call): Promise<FastifyReply> {
  const { line, ...rest } = request.query as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) throw refused('unknown_member', unknown, 'is not known here; known is line');
  if (line === undefined) throw refused('missing_member', 'line', 'is missing');
  if (typeof line !== 'string') throw refused('wrong_type', 'line', 'must be given once');
  return sendJson(reply, { completions: context.monitor.complete(line) });
}

function refused(code: 'unknown_member' | 'missing_member' | 'wrong_type', name: string, reason: string): DomainError {
  const violations = [{ pointer: `/${name}`, reason }];
  return new DomainError(code, `Query parameter ${name} ${reason}.`, { violations });
}
