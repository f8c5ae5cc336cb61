import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { DomainError } from '../commands/errors.ts';
import { deleteVm, loadVm, queryVmSnapshots, saveVm } from '../commands/snapshots.ts';
import * as examples from './examples/hmp.ts';
import type { Call, Operation } from './operation.ts';
import { HttpError } from './plugins/http-errors.ts';
import { callContext, sendJson } from './register.ts';

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
