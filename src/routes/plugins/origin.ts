import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Server } from './common-hooks.ts';
import { HttpError } from './problem-details.ts';

/*
 * Protection against requests from foreign web pages. Without tokens the service listens on loopback only and accepts every
 * request, so a browser on the same machine could be misused: a foreign page can send requests here, or make its own host name
 * resolve to 127.0.0.1. Headers that a page cannot forge reveal both. With tokens any host name is accepted, and a page without
 * a token is refused anyway; requests of a foreign page are still refused unless `--allow-origin` lists its origin.
 *
 * Answers to pages of listed origins follow the CORS protocol of the Fetch standard. Access-Control-Allow-Credentials is never
 * sent: the only credentials are bearer tokens, which a page adds itself.
 */

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;
const OWN_SITE = new Set(['same-origin', 'none']);
const ANY_ORIGIN = '*';

/** Response headers that a page of a listed origin may read beside the CORS-safelisted ones. */
const EXPOSED =
  'ETag, Location, Link, Preference-Applied, Retry-After, X-Request-Id, Idempotency-Replayed, WWW-Authenticate';
/** Answer to the preflight request of a browser. Browsers may cache it for `max-age` seconds. */
const PREFLIGHT = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers':
    'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, X-Request-Id',
  'access-control-max-age': '600',
};

export type OriginRules = {
  readonly hasTokens: boolean;
  /** Origins as in a browser's Origin header, or `*`. */
  readonly allowed: readonly string[];
};

/** Lets pages of the allowed origins read the answers. Must come before any hook that can refuse a request. */
export function registerAllowedOrigins(server: Server, { allowed }: Pick<OriginRules, 'allowed'>): void {
  if (allowed.length === 0) return;
  server.addHook('onRequest', async ({ headers: { origin } }, reply) => {
    // A cache must not give a page the answer for another origin.
    reply.header('vary', 'Origin');
    if (origin === undefined || !isAllowed(origin, allowed)) return;
    reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', EXPOSED);
  });
}

/** Refuses requests that a foreign page caused a browser to send, and answers preflight requests of allowed origins. */
export function registerOriginCheck(server: Server, { hasTokens, allowed }: OriginRules): void {
  server.addHook('onRequest', async (request, reply) => {
    const { headers, method } = request;
    const { host, origin } = headers;
    if (!hasTokens && host !== undefined && host !== '' && !LOOPBACK_HOST.test(host)) {
      throw new HttpError('foreign_origin', `This service accepts only localhost as its host name, not "${host}".`);
    }
    if (origin !== undefined && isAllowed(origin, allowed)) return answerPreflight(request, reply);
    const site = headers['sec-fetch-site'];
    // A link on a foreign page may lead here, because it only reads. A form on a foreign page may not send anything.
    const isLink = headers['sec-fetch-mode'] === 'navigate' && (method === 'GET' || method === 'HEAD');
    const foreignSite = typeof site === 'string' && !OWN_SITE.has(site) && !isLink;
    // The origin has https if a proxy before this service terminates TLS.
    const isOwn = origin === undefined || origin === `http://${host}` || (hasTokens && origin === `https://${host}`);
    if (foreignSite || !isOwn) {
      throw new HttpError('foreign_origin', `A page of ${origin ?? 'another site'} may not call this service.`);
    }
  });
}

/** A preflight request carries no token, so it is answered before tokens are checked. Other requests continue. */
function answerPreflight({ method, headers }: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return undefined;
  return reply.code(204).headers(PREFLIGHT).send();
}

function isAllowed(origin: string, allowed: readonly string[]): boolean {
  return allowed.includes(origin) || allowed.includes(ANY_ORIGIN);
}
