import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify';
import type { HttpFigures } from '../metrics/running-figures.ts';

/** The HTTP server type, whose route schemas are TypeBox schemas. */
export type Server = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/* The request id, which is in the request's log lines, audit entry and answer; security headers; the request log; response times. */

/** The ids that a client may choose. These characters need no escaping in logs and headers. */
const ID = /^[\w.:+/=-]{1,128}$/;

/** The client's `X-Request-Id` if it is valid, otherwise a new id. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && ID.test(given) ? given : randomUUID();
}

/** Must be the first hook, so that every answer has the id, also the refusals of later hooks. */
export function registerRequestId(server: Server): void {
  server.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
}

/** Browsers must not load or embed anything with an answer of this service. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Sets the security headers on every answer that does not set them itself. */
export function registerSecurityHeaders(server: Server): void {
  server.addHook('onSend', async (_request, reply) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!reply.hasHeader(name)) reply.header(name, value);
    }
  });
}

const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Writes one log line for each request: at level info if the method can change something or the request was refused, otherwise
 * at level debug. The line has the route's path pattern and nothing from headers, query or body, so no secret is logged.
 */
export function registerRequestLog(server: Server): void {
  server.addHook('onResponse', async (request, reply) => {
    const { method, log } = request;
    const isNews = !READING_METHODS.has(method) || reply.statusCode >= 400;
    const line = { ...shownOf(request), status: reply.statusCode, ms: Math.round(reply.elapsedTime * 10) / 10 };
    log[isNews ? 'info' : 'debug'](line, 'a request was answered');
  });
}

function shownOf({ method, routeOptions, access, ip }: FastifyRequest): Record<string, unknown> {
  return { method, route: routeOptions.url ?? null, caller: access?.caller.name ?? null, address: ip };
}

/** Event streams last until the client disconnects, so their time is not counted. */
const STREAMS: ReadonlySet<string> = new Set(['/events']);

/** Counts response times. Requests with a Prefer header may wait, so they are counted separately. */
export function registerLatency(server: Server, figures: HttpFigures): void {
  server.addHook('onResponse', async ({ method, routeOptions, headers }, reply) => {
    const route = routeOptions.url ?? 'none';
    if (STREAMS.has(route)) return;
    const labels = { method, route, status: String(reply.statusCode) };
    if (headers.prefer !== undefined) figures.waited(labels);
    else figures.answered(labels, reply.elapsedTime / 1000);
  });
}
