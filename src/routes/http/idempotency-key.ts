import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { KeyedRequest } from '../../domain/idempotency.ts';
import { stringifyJson } from '../../text/json.ts';
import { HttpError } from '../plugins/problem-details.ts';

/*
 * Requests that may be sent twice. A client names a request by an Idempotency-Key; the answer to it is kept together
 * with what it began, and a request with the same key begins nothing but is answered the same. What was refused began
 * nothing and is not kept: the same key may try again.
 */

/** Longest key, in characters. */
export const KEY_LENGTH_MAX = 255;
/** Printable ASCII: what the draft's String may hold. */
const KEY = /^[\x20-\x7e]+$/;

export const KEY_HEADERS = {
  'Idempotency-Key':
    'A name of the request, 1 to 255 printable ASCII characters. For 24 hours the same request with the same key ' +
    'begins nothing more and is answered the same; another request with it is refused.',
};
export const KEY_ERRORS = ['idempotency_key_malformed', 'idempotency_key_in_use', 'idempotency_key_reused'] as const;

/** The request as its key names it, or null if it has none. @throws HttpError if the key cannot be one. */
export function keyedRequest(request: FastifyRequest): KeyedRequest | null {
  const key = keyOf(request);
  return key === null ? null : { key, fingerprint: fingerprintOf(request) };
}

/** Keys of requests that are being answered: a second one of the same key has to wait for the first. */
export class KeysInUse {
  readonly #keys = new Set<string>();

  /** @throws HttpError if a request with this key is being answered. */
  claim(key: string): Disposable {
    if (this.#keys.has(key)) {
      throw new HttpError('idempotency_key_in_use', 'A request with this Idempotency-Key has not been answered yet.');
    }
    this.#keys.add(key);
    return { [Symbol.dispose]: () => this.#keys.delete(key) };
  }
}

function keyOf({ headers, raw }: FastifyRequest): string | null {
  const key = headers['idempotency-key'];
  if (key === undefined) return null;
  const names = raw.rawHeaders.filter((_, index) => index % 2 === 0);
  const isGivenOnce = names.filter((name) => name.toLowerCase() === 'idempotency-key').length <= 1;
  const text = typeof key === 'string' ? key : '';
  if (isGivenOnce && text.length <= KEY_LENGTH_MAX && KEY.test(text)) return text;
  const detail = `An Idempotency-Key is given once and has 1 to ${KEY_LENGTH_MAX} printable ASCII characters.`;
  throw new HttpError('idempotency_key_malformed', detail);
}

/** The same for two requests exactly if they ask for the same: method, path, query and body, whatever its spacing. */
function fingerprintOf({ method, url, body }: FastifyRequest): string {
  const content = body === undefined || body === null ? '' : stringifyJson(sorted(body));
  return createHash('sha256').update([method, url, content].join('\0')).digest('base64url');
}

/** Members in the order of their names, all the way down. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
