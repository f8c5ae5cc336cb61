import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Server } from './common-hooks.ts';
import { HttpError } from './problem-details.ts';

/*
 * Without tokens the listener is on loopback and asks for nothing, so a browser on the same machine is the way in: a page
 * of another site could send requests here, or make its own name resolve to 127.0.0.1. Both are told by headers that a
 * page cannot forge. With tokens the service has whatever names its host has, and a page that knows no token gets nowhere;
 * one of another site is refused all the same, unless its origin is on the list of `--allow-origin`.
 *
 * Pages of these origins are answered as the CORS protocol of the Fetch standard has it. Access-Control-Allow-Credentials
 * is never sent: the only credentials are bearer tokens, which a page adds by itself.
 */

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;
const OWN_SITE = new Set(['same-origin', 'none']);
const ANY_ORIGIN = '*';

/** Response headers that a page may read beside those that every page may. */
const EXPOSED =
  'ETag, Location, Link, Preference-Applied, Retry-After, X-Request-Id, Idempotency-Replayed, WWW-Authenticate';
/** Answers to the question that a browser asks before a request, and for how many seconds it need not ask again. */
const PREFLIGHT = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers':
    'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, X-Request-Id',
  'access-control-max-age': '600',
};

export type OriginRules = {
  readonly hasTokens: boolean;
  /** In the form of a browser's Origin header, or `*`. */
  readonly allowed: readonly string[];
};

/** Lets pages of the allowed origins read the answers. Must come before whatever may refuse a request. */
export function registerAllowedOrigins(server: Server, { allowed }: Pick<OriginRules, 'allowed'>): void {
  if (allowed.length === 0) return;
  server.addHook('onRequest', async ({ headers: { origin } }, reply) => {
    // A cache may not give the answer for one origin to a page of another.
    reply.header('vary', 'Origin');
    if (origin === undefined || !isAllowed(origin, allowed)) return;
    reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', EXPOSED);
  });
}

/** Refuses what a foreign page caused a browser to send, and answers what browsers ask on behalf of an allowed one. */
export function registerOriginCheck(server: Server, { hasTokens, allowed }: OriginRules): void {
  server.addHook('onRequest', async (request, reply) => {
    const { headers, method } = request;
    const { host, origin } = headers;
    if (!hasTokens && host !== undefined && host !== '' && !LOOPBACK_HOST.test(host)) {
      throw new HttpError('foreign_origin', `This service answers as localhost only, not as "${host}".`);
    }
    if (origin !== undefined && isAllowed(origin, allowed)) return answerPreflight(request, reply);
    const site = headers['sec-fetch-site'];
    // A link of another site may lead here, which reads; a form of another site may not send anything.
    const isLink = headers['sec-fetch-mode'] === 'navigate' && (method === 'GET' || method === 'HEAD');
    const foreignSite = typeof site === 'string' && !OWN_SITE.has(site) && !isLink;
    // https where something in front of us speaks TLS.
    const isOwn = origin === undefined || origin === `http://${host}` || (hasTokens && origin === `https://${host}`);
    if (foreignSite || !isOwn) {
      throw new HttpError('foreign_origin', `A page of ${origin ?? 'another site'} may not call this service.`);
    }
  });
}

/** A preflight carries no token, so it is answered before one is asked for. Any other request goes on. */
function answerPreflight({ method, headers }: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return undefined;
  return reply.code(204).headers(PREFLIGHT).send();
}

function isAllowed(origin: string, allowed: readonly string[]): boolean {
  return allowed.includes(origin) || allowed.includes(ANY_ORIGIN);
}
