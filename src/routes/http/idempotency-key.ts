import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { KeyedRequest } from '../../domain/idempotency.ts';
import { stringifyJson } from '../../text/json.ts';
import { HttpError } from '../plugins/problem-details.ts';

/*
 * Requests that a client may send twice. The client gives a request an Idempotency-Key. The service stores its answer together
 * with the work that the request started. A later request with the same key starts nothing and receives the stored answer. A
 * refused request started nothing and is not stored, so the client can use the same key again.
 */

/** Longest key, in characters. */
export const KEY_LENGTH_MAX = 255;
/** Printable ASCII: the characters of a String in the IETF draft of this header. */
const KEY = /^[\x20-\x7e]+$/;

export const KEY_HEADERS = {
  'Idempotency-Key':
    'A key for this request: 1 to 255 printable ASCII characters. For 24 hours, the same request with the same key ' +
    'starts nothing more and receives the same answer. A different request with the same key is refused.',
};
export const KEY_ERRORS = ['idempotency_key_malformed', 'idempotency_key_in_use', 'idempotency_key_reused'] as const;

/** The key and fingerprint of a request, or null if it has no key. @throws HttpError if the key is malformed */
export function keyedRequest(request: FastifyRequest): KeyedRequest | null {
  const key = keyOf(request);
  return key === null ? null : { key, fingerprint: fingerprintOf(request) };
}

/** Keys of requests without an answer yet. A second request with the same key is refused until then. */
export class KeysInUse {
  readonly #keys = new Set<string>();

  /** @throws HttpError if a request with this key has no answer yet */
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
  const detail = `The Idempotency-Key header must occur once and have 1 to ${KEY_LENGTH_MAX} printable ASCII characters.`;
  throw new HttpError('idempotency_key_malformed', detail);
}

/** A digest of method, path, query and body. JSON bodies that differ only in white space or in the order of members have the same fingerprint. */
function fingerprintOf({ method, url, body }: FastifyRequest): string {
  const content = body === undefined || body === null ? '' : stringifyJson(sorted(body));
  return createHash('sha256').update([method, url, content].join('\0')).digest('base64url');
}

/** Sorts the members of all objects by name, at every depth. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
