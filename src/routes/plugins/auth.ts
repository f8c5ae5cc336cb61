import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Caller, CommandContext, Role } from '../../commands/command.ts';
import type { Connections } from '../http/http-server.ts';
import { type HttpLimits, networkOf, RateLimit } from '../http-limits.ts';
import type { Server } from './common-hooks.ts';
import { HttpError } from './problem-details.ts';

/*
 * Bearer tokens. The service knows only digests of tokens. It digests the given token and compares the digest with every known
 * one in constant time, so the response time reveals nothing about the tokens. Wrong tokens are counted by the address of the
 * client; when an address sends too many, further wrong tokens are refused with 429. A valid token is always accepted:
 * otherwise one client behind a proxy could lock out the others.
 */

/** The SHA-256 of a token in hexadecimal, its role, and its expiry: milliseconds since 1970, or null for no expiry. */
export type KnownToken = { readonly digest: string; readonly role: Role; readonly expiresMs: number | null };

type Found = Omit<KnownToken, 'digest'> & { readonly digest: Buffer; readonly hasExpired: boolean };

/** The tokens that the service accepts at present. */
export class KnownTokens {
  readonly #now: () => number;
  #known: readonly Omit<Found, 'hasExpired'>[] = [];

  constructor(tokens: readonly KnownToken[], now: () => number = Date.now) {
    this.#now = now;
    this.replace(tokens);
  }

  /** The new tokens apply from the next request on. Earlier requests, such as open event streams, continue. */
  replace(tokens: readonly KnownToken[]): void {
    this.#known = tokens.map(({ digest, ...token }) => ({ ...token, digest: Buffer.from(digest, 'hex') }));
  }

  find(text: string): Found | undefined {
    const digest = createHash('sha256').update(text).digest();
    const found = this.#known.filter((token) => timingSafeEqual(token.digest, digest))[0];
    if (found === undefined) return undefined;
    return { ...found, hasExpired: found.expiresMs !== null && found.expiresMs <= this.#now() };
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller of the request and its role. */
    access: {
      readonly role: Role;
      readonly caller: Caller;
      /** True if the request has a valid token, or if the service requires none. */
      readonly isAuthenticated: boolean;
    };
    /** True once the service has decided that the caller may send requests. */
    isAdmitted: boolean;
  }
}

/** This path ignores tokens, so that a process supervisor needs none. */
const HEALTH_PATH = '/healthz';
/** This path answers without a token too. With a token the answer has more details. */
const READINESS_PATH = '/readyz';
/** Paths that need no token. */
export const OPEN_PATHS: ReadonlySet<string> = new Set([HEALTH_PATH, READINESS_PATH]);
const REALM = 'Bearer realm="vmferry"';
const FINGERPRINT_LENGTH = 8;
const BEARER = /^bearer +([^ ]+) *$/i;

/** Determines the caller of each request. If the service has tokens, refuses requests without a valid one. */
export function registerAuthentication(
  server: Server,
  options: { readonly tokens: KnownTokens | null; readonly limits: HttpLimits; readonly connections: Connections },
): void {
  const { tokens, limits, connections } = options;
  const wrongTokens = new RateLimit({
    burst: limits.wrongTokensBurst,
    perSecond: limits.wrongTokensPerSecond,
    keysMax: limits.rateLimitedAddressesMax,
  });
  server.decorateRequest('access', undefined as never);
  server.decorateRequest('isAdmitted', false);
  server.addHook('onRequest', async (request) => {
    request.access = accessOf(request, { role: 'operator', name: 'anyone', isAuthenticated: tokens === null });
    const path = request.routeOptions.url;
    request.isAdmitted = tokens === null || OPEN_PATHS.has(path ?? '');
    if (tokens === null || path === HEALTH_PATH) return;
    const given = BEARER.exec(request.headers.authorization ?? '')?.[1];
    if (given === undefined && path === READINESS_PATH) return;
    if (given === undefined) throw notAuthenticated('This service requires a token: Authorization: Bearer TOKEN.', '');
    const found = tokens.find(given);
    if (found === undefined) throw wrongToken(request, wrongTokens);
    if (found.hasExpired) throw notAuthenticated('The token has expired.', ', error="invalid_token"');
    connections.trust(request.socket);
    const name = `token-${found.digest.toString('hex').slice(0, FINGERPRINT_LENGTH)}`;
    request.access = accessOf(request, { role: found.role, name, isAuthenticated: true });
    request.isAdmitted = true;
  });
}

/** The part of a command's context that describes the caller. */
export function accessContext({ access }: FastifyRequest): Pick<CommandContext, 'role' | 'caller'> {
  return { role: access.role, caller: access.caller };
}

function accessOf(
  { id, ip }: FastifyRequest,
  { role, name, isAuthenticated }: { role: Role; name: string; isAuthenticated: boolean },
): FastifyRequest['access'] {
  return { role, caller: { door: 'http', name, address: ip, requestId: id }, isAuthenticated };
}

function wrongToken(request: FastifyRequest, wrongTokens: RateLimit): HttpError {
  const wait = wrongTokens.take(networkOf(request.ip));
  if (wait !== null) {
    const headers = { 'retry-after': String(wait) };
    return new HttpError('too_many_wrong_tokens', 'This address has sent too many wrong tokens.', { headers });
  }
  request.log.warn({ address: request.ip }, 'a request had a wrong token');
  return notAuthenticated('The service does not know this token.', ', error="invalid_token"');
}

function notAuthenticated(message: string, detail: string): HttpError {
  return new HttpError('not_authenticated', message, { headers: { 'www-authenticate': `${REALM}${detail}` } });
}
