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
      description: 'For each part (data, service, guest): ok, or the problem. Only for authenticated callers.',
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
    summary: 'Check that the process is alive',
    description: 'Needs no token. The process answers as long as it handles requests.',
    input: 'query',
    replies: { 200: { description: 'The process is alive.', schema: Health } },
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
    summary: 'Check that the service is ready',
    description:
      'Each check is ok, or tells why its part of the service cannot work. The service is not ready while it cannot write to ' +
      'the data directory and while it shuts down. A panic of the guest does not change ready. If the service requires tokens, ' +
      'an answer to a request without a token has no checks.',
    input: 'query',
    replies: {
      200: { description: 'The service is ready.', schema: Ready },
      503: { description: 'The service is not ready; checks tell why.', schema: Ready },
    },
    errors: [],
    examples: examples.readiness,
    handle: sendReadiness,
  },
];

async function sendReadiness({ request, reply, context }: Call): Promise<FastifyReply> {
  const { ready, checks } = context.readiness();
  // Checks contain paths and findings of the guest's self-check.
  const answer = request.access.isAuthenticated ? { ready, checks } : { ready };
  return sendJson(reply.header('cache-control', 'no-store').code(ready ? 200 : 503), answer);
}

export const METRICS_OPERATION: Operation = {
  method: 'GET',
  path: '/metrics',
  id: 'getMetrics',
  tag: 'service',
  command: null,
  summary: 'Get the metrics of the service for Prometheus',
  description:
    "Returns the metrics in Prometheus' text format. Counters restart with each process. docs/operating.md lists the metrics.",
  input: 'query',
  replies: { 200: { description: 'The metrics.', schema: Type.String(), type: 'text/plain' } },
  errors: [],
  examples: examples.metrics,
};

/** The operation with its state: a registry, which is created at the first scrape together with the Prometheus library. */
export function metricsOperations(source: MetricsSource): readonly Operation[] {
  let registry: Promise<import('@prometheus-io/client').Registry> | null = null;
  return [
    {
      ...METRICS_OPERATION,
      handle: async ({ reply }) => {
        registry ??= import('./metrics/exposition.ts').then(({ metricsRegistry }) => metricsRegistry(source));
        const metrics = await registry;
        return reply
          .type(metrics.contentType)
          .header('cache-control', 'no-store')
          .send(await metrics.metrics());
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
    summary: 'Run a QMP command',
    description:
      'Takes one QMP envelope and answers with one. No negotiation is needed, and exec-oob is possible on sockets only. A refused ' +
      'command is also answered with status 200; the envelope contains its error. query-qmp-schema lists all commands and types.',
    input: 'body',
    body: QmpEnvelope,
    replies: { 200: { description: 'The answer of a QMP socket.', schema: QmpAnswer } },
    errors: ['too_many_requests'],
    examples: examples.qmp,
    handle: answer,
  },
];

async function answer({ context, request, reply }: Call): Promise<FastifyReply> {
  const { body } = request;
  if (body === undefined || body === null)
    throw new HttpError('body_missing', 'POST /qmp requires a JSON object as its body.');
  return sendJson(reply, await context.qmp(body, callContext(context, request, 'qmp')));
}

const TEXT = 'text/plain; charset=utf-8';
/** Most bytes of progress text that wait for the client. Further progress is left out until the client has read them. */
const PROGRESS_BYTES_MAX = 16 * 1024;

export const hmpOperations: readonly Operation[] = [
  {
    method: 'POST',
    path: '/hmp',
    id: 'runMonitorLine',
    tag: 'service',
    command: null,
    covers: [saveVm, loadVm, deleteVm, queryVmSnapshots],
    summary: 'Run a command line of the text monitor',
    description:
      'Commands, arguments and output are those of QEMU 10.0; the command help lists them. A refused command is answered with ' +
      'status 200 and a line that begins with "Error: ". While a command waits for a migration or a snapshot, the answer receives ' +
      'one line of progress per second.',
    input: 'body',
    bodyType: 'text/plain',
    body: Type.String(),
    replies: {
      200: { description: 'The output that a terminal would show.', schema: Type.String(), type: 'text/plain' },
    },
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
    summary: 'Complete the last word of a monitor line',
    description:
      'Returns the completions of the Tab key in a terminal: commands, parameters, capabilities and other names.',
    input: 'query',
    query: Type.Object({ line: Type.String({ description: 'The beginning of the line.' }) }),
    replies: {
      200: {
        description: 'The possible words, sorted.',
        schema: Type.Object({ completions: Type.Array(Type.String()) }),
      },
    },
    errors: ['missing_member'],
    examples: examples.completeMonitorLine,
    handle: complete,
  },
];

/** Answers when the command is done. If the command reports progress, the answer begins with the first progress text. */
async function runLine(call: Call): Promise<FastifyReply> {
  const { context, request, reply, signal } = call;
  if (typeof request.body !== 'string')
    throw new HttpError('body_missing', 'POST /hmp requires a line of text as its body.');
  const started = Promise.withResolvers<PassThrough>();
  let stream: PassThrough | null = null;
  const progress = (text: string): void => {
    stream ??= new PassThrough();
    started.resolve(stream);
    if (!stream.destroyed && stream.writableLength < PROGRESS_BYTES_MAX) stream.write(text);
  };
  const callerContext = callContext(context, request, 'hmp');
  const answer = context.monitor.answer(request.body, { progress, signal, context: callerContext });
  const first = await Promise.race([answer, started.promise]);
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
  if (unknown !== undefined) throw refused('unknown_member', unknown, 'is unknown; the known parameter is line');
  if (line === undefined) throw refused('missing_member', 'line', 'is missing');
  if (typeof line !== 'string') throw refused('wrong_type', 'line', 'must be given once');
  return sendJson(reply, { completions: context.monitor.complete(line) });
}

function refused(code: 'unknown_member' | 'missing_member' | 'wrong_type', name: string, reason: string): DomainError {
  const violations = [{ pointer: `/${name}`, reason }];
  return new DomainError(code, `Query parameter ${name} ${reason}.`, { violations });
}
