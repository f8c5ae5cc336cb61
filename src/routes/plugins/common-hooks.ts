import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify';
import type { HttpFigures } from '../metrics/running-figures.ts';

/** The HTTP server: a route's schemas are TypeBox's, and its request takes its types from them. */
export type Server = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/* Every request has an id, which its log lines, its row in the audit trail and its answer carry. */

/** What a client may choose: anything else would have to be escaped somewhere. */
const ID = /^[\w.:+/=-]{1,128}$/;

/** The client's `X-Request-Id`, if it is one, or a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && ID.test(given) ? given : randomUUID();
}

/** Must be the first hook: whatever refuses a request later, its answer has the id. */
export function registerRequestId(server: Server): void {
  server.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
}

/** Nothing in an answer is a page that may load or be shown within anything. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Every answer carries them, unless it says otherwise itself. */
export function registerSecurityHeaders(server: Server): void {
  server.addHook('onSend', async (_request, reply) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!reply.hasHeader(name)) reply.header(name, value);
    }
  });
}

const LOOKING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * One line for each request: at level info if it was to change something or was refused, at level debug otherwise. The
 * path is there as the route has it, and nothing of headers, query and body: no secret can be among what is logged.
 */
export function registerRequestLog(server: Server): void {
  server.addHook('onResponse', async (request, reply) => {
    const { method, log } = request;
    const isNews = !LOOKING.has(method) || reply.statusCode >= 400;
    const line = { ...shownOf(request), status: reply.statusCode, ms: Math.round(reply.elapsedTime * 10) / 10 };
    log[isNews ? 'info' : 'debug'](line, 'a request was answered');
  });
}

function shownOf({ method, routeOptions, access, ip }: FastifyRequest): Record<string, unknown> {
  return { method, route: routeOptions.url ?? null, caller: access?.caller.name ?? null, address: ip };
}

/** Streams last for as long as their reader likes. */
const STREAMS: ReadonlySet<string> = new Set(['/events']);

/** Counts how long answers take, and the requests that asked for their answer to be held back by themselves. */
export function registerLatency(server: Server, figures: HttpFigures): void {
  server.addHook('onResponse', async ({ method, routeOptions, headers }, reply) => {
    const route = routeOptions.url ?? 'none';
    if (STREAMS.has(route)) return;
    const labels = { method, route, status: String(reply.statusCode) };
    if (headers.prefer !== undefined) figures.waited(labels);
    else figures.answered(labels, reply.elapsedTime / 1000);
  });
}
