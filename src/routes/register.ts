import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CommandContext } from '../commands/command.ts';
import { authorize, execute, traceRefusal } from '../commands/execute.ts';
import { DomainError } from '../domain/errors.ts';
import { stringifyJson } from '../text/json.ts';
import { networkOf } from './http-limits.ts';
import { argumentsSchemaOf, type Call, type Operation, type RouteContext, startsWork } from './operation.ts';
import { accessContext } from './plugins/auth.ts';
import type { Server } from './plugins/common-hooks.ts';
import { codeOf, HttpError, sendProblem } from './plugins/problem-details.ts';
import { takeText } from './plugins/request-framing.ts';

/** Registers an operation as a route of the server. */
export function registerOperation(server: Server, context: RouteContext, operation: Operation): void {
  const handle = operation.handle ?? sendResult;
  const route = (scope: Server): void => {
    scope.route({
      method: operation.method,
      url: operation.path,
      errorHandler: (error, request, reply) => {
        traceUnlessTraced(context, operation, { error, request });
        return sendProblem(error, request, reply);
      },
      handler: async (request, reply) => {
        authorizeCaller(context, operation, request);
        if (startsWork(operation)) {
          refuseTooMany(context, request);
          // Starting work takes long, as does reading the request. Other requests are served between both.
          await nextTurn();
        }
        return await handle(callOf({ context, operation, request, reply }));
      },
    });
  };
  if (operation.bodyType === undefined) route(server);
  // The parser of text applies only within this scope; other routes still refuse text.
  else
    server.register(async (scope) => {
      takeText(scope);
      route(scope);
    });
}

/** Requests whose command was executed, or refused because of the caller's role. The audit trail already has them. */
const traced = new WeakSet<FastifyRequest>();

/** Writes a request to the audit trail that was refused before its command ran, for example for its body or a precondition. */
function traceUnlessTraced(
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

/** Checks the caller's role before the handler does anything, such as look up the answer to an earlier request. */
function authorizeCaller({ domain }: RouteContext, { command }: Operation, request: FastifyRequest): void {
  if (command === null) return;
  const { params, query, body } = request as { params: object; query: object; body?: unknown };
  const given = isPlainObject(body) ? body : body === undefined || body === null ? {} : { body };
  traced.add(request);
  authorize(command, { domain, arguments: { ...query, ...params, ...given }, context: accessContext(request) });
  traced.delete(request);
}

/** Context of commands that run through /qmp or /hmp. */
export function callContext(context: RouteContext, request: FastifyRequest, door: 'qmp' | 'hmp'): CommandContext {
  const { role, caller } = request.access;
  return { role, caller: { ...caller, door }, admit: () => refuseTooMany(context, request) };
}

function refuseTooMany({ startLimit }: RouteContext, { access, ip }: FastifyRequest): void {
  const wait = startLimit.take(`${access.caller.name} ${networkOf(ip)}`);
  if (wait === null) return;
  const headers = { 'retry-after': String(wait) };
  throw new HttpError(
    'too_many_requests',
    'Requests start work faster than the service allows; send the request again later.',
    {
      headers,
    },
  );
}

/** Sends a value as exact JSON, with a line end for terminals. */
export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return sendText(reply, `${stringifyJson(value)}\n`);
}

/** Sends JSON text. */
export function sendText(reply: FastifyReply, text: string): FastifyReply {
  if (!reply.hasHeader('content-type')) reply.type('application/json; charset=utf-8');
  return reply.send(text);
}

async function sendResult(call: Call): Promise<FastifyReply> {
  return sendJson(call.reply, await call.run());
}

type RequestParts = {
  readonly context: RouteContext;
  readonly operation: Operation;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
};

function callOf({ context, operation, request, reply }: RequestParts): Call {
  return {
    context,
    request,
    reply,
    get signal() {
      return AbortSignal.any([context.closing, disconnectSignal(reply)]);
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

function disconnectSignal(reply: FastifyReply): AbortSignal {
  const disconnect = new AbortController();
  reply.raw.once('close', () => disconnect.abort());
  return disconnect.signal;
}

function argumentsOf(operation: Operation, request: FastifyRequest): unknown {
  const params = request.params as Record<string, string>;
  const query = queryOf(operation, request.query as Record<string, unknown>);
  const body = request.body ?? undefined;
  if (operation.input === 'body' && body === undefined) {
    throw new HttpError('body_missing', `${operation.method} ${operation.path} requires a JSON object as its body.`);
  }
  // The command's schema refuses bodies that are not objects, and a query where none is allowed.
  if (body === undefined) return { ...query, ...params };
  if (!isPlainObject(body)) return body;
  refuseNamedTwice(params, body);
  return { ...query, ...params, ...body };
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The body must not repeat a parameter of the path, because its value could differ. */
function refuseNamedTwice(params: Record<string, string>, body: object): void {
  const reason = 'is given by the path and not allowed in the body';
  const violations = Object.keys(params)
    .filter((name) => Object.hasOwn(body, name))
    .map((name) => ({ pointer: `/${name}`, reason }));
  if (violations.length === 0) return;
  throw new DomainError('unknown_member', `Member ${violations[0]?.pointer} ${reason}.`, { violations });
}

const INTEGER = /^-?\d{1,15}$/;

/** Query values are text. Where the schema expects integers or lists, suitable texts are converted. */
function queryOf(operation: Operation, query: Record<string, unknown>): Record<string, unknown> {
  const schema = argumentsSchemaOf(operation) as { properties?: Record<string, { type?: string }> } | undefined;
  // `fromEntries` defines own members, so a member named __proto__ cannot change a prototype.
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
