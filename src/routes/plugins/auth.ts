import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Caller, CommandContext, Role } from '../../commands/command.ts';
import type { Connections } from '../http/http-server.ts';
import { type HttpLimits, networkOf, RateLimit } from '../http-limits.ts';
import type { Server } from './common-hooks.ts';
import { HttpError } from './problem-details.ts';

/*
 * Bearer tokens. The service knows their digests only; what is given is digested and compared with every one of them in
 * constant time, so neither the time nor the number of comparisons tells how close it came. Wrong tokens are counted by
 * the address that they come from, and refused without another word when there are too many. A right one always passes:
 * otherwise anyone behind the same proxy could lock the others out.
 */

/** A token's SHA-256 in hexadecimal, what it allows, and until when: milliseconds since 1970, null for ever. */
export type KnownToken = { readonly digest: string; readonly role: Role; readonly expiresMs: number | null };

type Found = Omit<KnownToken, 'digest'> & { readonly digest: Buffer; readonly hasExpired: boolean };

/** The tokens that are known now. */
export class KnownTokens {
  readonly #now: () => number;
  #known: readonly Omit<Found, 'hasExpired'>[] = [];

  constructor(tokens: readonly KnownToken[], now: () => number = Date.now) {
    this.#now = now;
    this.replace(tokens);
  }

  /** From the next request on; what an earlier one began, such as an event stream, goes on. */
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
    /** Who asks, and what they may do. */
    access: {
      readonly role: Role;
      readonly caller: Caller;
      /** True if a token was shown that is known, or if the service asks for none. */
      readonly isAuthenticated: boolean;
    };
    /** True once it is known that the caller may ask at all. */
    isAdmitted: boolean;
  }
}

/** Answers to anyone, whatever token is shown: a watcher of the process must not need one. */
const HEALTH_PATH = '/healthz';
/** Answers without a token too, and with one says more. */
const READINESS_PATH = '/readyz';
/** What answers without a token. */
export const OPEN_PATHS: ReadonlySet<string> = new Set([HEALTH_PATH, READINESS_PATH]);
const REALM = 'Bearer realm="vmferry"';
const FINGERPRINT_LENGTH = 8;
const BEARER = /^bearer +([^ ]+) *$/i;

/** Finds out who asks; with tokens, refuses those who show none of them. */
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
    if (given === undefined) throw notAuthenticated('This service asks for a token: Authorization: Bearer TOKEN.', '');
    const found = tokens.find(given);
    if (found === undefined) throw wrongToken(request, wrongTokens);
    if (found.hasExpired) throw notAuthenticated('The token has expired.', ', error="invalid_token"');
    connections.trust(request.socket);
    const name = `token-${found.digest.toString('hex').slice(0, FINGERPRINT_LENGTH)}`;
    request.access = accessOf(request, { role: found.role, name, isAuthenticated: true });
    request.isAdmitted = true;
  });
}

/** What a command is told of whoever asks. */
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
    return new HttpError('too_many_wrong_tokens', 'Too many wrong tokens came from this address.', { headers });
  }
  request.log.warn({ address: request.ip }, 'a request had a wrong token');
  return notAuthenticated('The token is not one of those that this service knows.', ', error="invalid_token"');
}

function notAuthenticated(message: string, detail: string): HttpError {
  return new HttpError('not_authenticated', message, { headers: { 'www-authenticate': `${REALM}${detail}` } });
}
