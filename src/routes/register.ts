import type { FastifyReply, FastifyRequest } from 'fastify';
import { execute } from '../commands/command.ts';
import { stringifyJson } from '../commands/json/stringify.ts';
import type { Call, Operation, RouteContext } from './operation.ts';
import { HttpError } from './plugins/http-errors.ts';
import type { Server } from './server-type.ts';

/** Makes an operation a route of the server. */
export function registerOperation(server: Server, context: RouteContext, operation: Operation): void {
  const handle = operation.handle ?? sendResult;
  server.route({
    method: operation.method,
    url: operation.path,
    handler: (request, reply) => handle(callOf({ context, operation, request, reply })),
  });
}

/** Sends a value as exact JSON with a line's end, for those who read it in a terminal. */
export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  if (!reply.hasHeader('content-type')) reply.type('application/json; charset=utf-8');
  return reply.send(`${stringifyJson(value)}\n`);
}

async function sendResult(call: Call): Promise<FastifyReply> {
  return sendJson(call.reply, await call.run());
}

type Parts = {
  readonly context: RouteContext;
  readonly operation: Operation;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
};

function callOf({ context, operation, request, reply }: Parts): Call {
  return {
    context,
    request,
    reply,
    get signal() {
      return AbortSignal.any([context.closing, goneSignal(reply)]);
    },
    run: async (commandContext = {}) => {
      if (operation.command === null) throw new TypeError(`${operation.id} has no command`);
      const arguments_ = argumentsOf(operation, request);
      return await execute(operation.command, {
        domain: context.domain,
        arguments: arguments_,
        context: commandContext,
      });
    },
  };
}

function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}

function argumentsOf(operation: Operation, request: FastifyRequest): unknown {
  const params = request.params as Record<string, string>;
  const query = queryOf(operation, request.query as Record<string, unknown>);
  const body = request.body ?? undefined;
  if (operation.input === 'body' && body === undefined) {
    throw new HttpError('body_missing', `${operation.method} ${operation.path} needs a JSON object as its body.`);
  }
  // What is not an object, and a query where none belongs, is for the schema to refuse.
  if (body === undefined) return { ...query, ...params };
  const isObject = typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype;
  return isObject ? { ...query, ...params, ...body } : body;
}

const INTEGER = /^-?\d{1,15}$/;

/** Query values are text; those that the schema wants as integers become numbers where they look like one. */
function queryOf(operation: Operation, query: Record<string, unknown>): Record<string, unknown> {
  const schema = operation.command?.arguments as { properties?: Record<string, { type?: string }> } | undefined;
  // `fromEntries` defines members, so that not even one named __proto__ reaches a prototype.
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => {
      const isInteger =
        schema?.properties?.[name]?.type === 'integer' && typeof value === 'string' && INTEGER.test(value);
      return [name, isInteger ? Number(value) : value];
    }),
  );
}
