import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CommandContext } from '../commands/command.ts';
import { authorize, execute, traceRefusal } from '../commands/execute.ts';
import { DomainError } from '../domain/errors.ts';
import { stringifyJson } from '../text/json.ts';
import { networkOf } from './http-limits.ts';
import { argumentsSchemaOf, beginsSomething, type Call, type Operation, type RouteContext } from './operation.ts';
import { accessContext } from './plugins/auth.ts';
import type { Server } from './plugins/common-hooks.ts';
import { codeOf, HttpError, sendProblem } from './plugins/problem-details.ts';
import { takeText } from './plugins/request-framing.ts';

/** Makes an operation a route of the server. */
export function registerOperation(server: Server, context: RouteContext, operation: Operation): void {
  const handle = operation.handle ?? sendResult;
  const route = (place: Server): void => {
    place.route({
      method: operation.method,
      url: operation.path,
      errorHandler: (error, request, reply) => {
        traceUnlessDone(context, operation, { error, request });
        return sendProblem(error, request, reply);
      },
      handler: async (request, reply) => {
        authorizeCaller(context, operation, request);
        if (beginsSomething(operation)) {
          refuseTooMany(context, request);
          // To begin something is long work, as is to read what is asked for: others who ask do not wait for both.
          await nextTurn();
        }
        return await handle(callOf({ context, operation, request, reply }));
      },
    });
  };
  if (operation.bodyType === undefined) route(server);
  // What a route reads is its own: elsewhere text stays refused.
  else
    server.register(async (place) => {
      takeText(place);
      route(place);
    });
}

/** Requests whose command was executed, or refused for want of a role: the audit trail has them. */
const traced = new WeakSet<FastifyRequest>();

/** What was refused before its command was executed, such as for its body or a condition, is in the audit trail, too. */
function traceUnlessDone(
  { domain }: RouteContext,
  { command }: Operation,
  { error, request }: { readonly error: unknown; readonly request: FastifyRequest },
): void {
  if (command === null || traced.has(request) || !request.isAdmitted) return;
  const { params, query } = request as { params: object; query: object };
  const given = isPlainObject(request.body) ? request.body : {};
  const call = { domain, arguments: { ...query, ...params, ...given }, context: accessContext(request) };
  traceRefusal(command, call, codeOf(error));
}

/** Before a handler does anything, such as to look for the answer to an earlier request. */
function authorizeCaller({ domain }: RouteContext, { command }: Operation, request: FastifyRequest): void {
  if (command === null) return;
  const { params, query, body } = request as { params: object; query: object; body?: unknown };
  const given = isPlainObject(body) ? body : body === undefined || body === null ? {} : { body };
  traced.add(request);
  authorize(command, { domain, arguments: { ...query, ...params, ...given }, context: accessContext(request) });
  traced.delete(request);
}

/** What a command is told of a caller by a door that leads to many: /qmp and /hmp. */
export function callContext(context: RouteContext, request: FastifyRequest, door: 'qmp' | 'hmp'): CommandContext {
  const { role, caller } = request.access;
  return { role, caller: { ...caller, door }, admit: () => refuseTooMany(context, request) };
}

function refuseTooMany({ beginnings }: RouteContext, { access, ip }: FastifyRequest): void {
  const wait = beginnings.take(`${access.caller.name} ${networkOf(ip)}`);
  if (wait === null) return;
  const headers = { 'retry-after': String(wait) };
  throw new HttpError('too_many_requests', 'More is asked for than may begin in a second; come back later.', {
    headers,
  });
}

/** Sends a value as exact JSON with a line's end, for those who read it in a terminal. */
export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return sendText(reply, `${stringifyJson(value)}\n`);
}

/** Sends what is JSON text already. */
export function sendText(reply: FastifyReply, text: string): FastifyReply {
  if (!reply.hasHeader('content-type')) reply.type('application/json; charset=utf-8');
  return reply.send(text);
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
      traced.add(request);
      return await execute(operation.command, {
        domain: context.domain,
        arguments: arguments_,
        context: { ...commandContext, ...accessContext(request), yieldToOthers: nextTurn },
        isShort: operation.takesShortForm === true,
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
  if (!isPlainObject(body)) return body;
  refuseNamedTwice(params, body);
  return { ...query, ...params, ...body };
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** What the path names the body may not name again, perhaps otherwise. */
function refuseNamedTwice(params: Record<string, string>, body: object): void {
  const reason = 'is named by the path, and not known in the body';
  const violations = Object.keys(params)
    .filter((name) => Object.hasOwn(body, name))
    .map((name) => ({ pointer: `/${name}`, reason }));
  if (violations.length === 0) return;
  throw new DomainError('unknown_member', `Member ${violations[0]?.pointer} ${reason}.`, { violations });
}

const INTEGER = /^-?\d{1,15}$/;

/** Query values are text; where the schema wants integers or lists, those that look like one become one. */
function queryOf(operation: Operation, query: Record<string, unknown>): Record<string, unknown> {
  const schema = argumentsSchemaOf(operation) as { properties?: Record<string, { type?: string }> } | undefined;
  // `fromEntries` defines members, so that not even one named __proto__ reaches a prototype.
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => {
      const type = schema?.properties?.[name]?.type;
      if (type === 'array') return [name, listOf(value)];
      const isInteger = type === 'integer' && typeof value === 'string' && INTEGER.test(value);
      return [name, isInteger ? Number(value) : value];
    }),
  );
}

/** `a=x&a=y` and `a=x,y` are the same list. */
function listOf(value: unknown): unknown {
  const texts = Array.isArray(value) ? value : [value];
  return texts.flatMap((text: unknown) => (typeof text === 'string' ? text.split(',') : [text]));
}
