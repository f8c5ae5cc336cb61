/**
 * What one client, and all of them together, may take. Named in docs/limits.md; tests make them shorter.
 * Times are milliseconds, sizes bytes.
 */
export type HttpLimits = {
  /** A whole request, headers and body, from its first byte. */
  readonly requestTimeoutMs: number;
  readonly headersTimeoutMs: number;
  /** A new connection on which no byte has come. */
  readonly silenceTimeoutMs: number;
  /** How often Node looks for requests that took longer. */
  readonly connectionsCheckMs: number;
  /** A connection on which nothing moves at all: longer than the longest wait that a client may ask for. */
  readonly connectionTimeoutMs: number;
  /** A connection between two requests. */
  readonly keepAliveTimeoutMs: number;
  readonly bodyBytesMax: number;
  readonly headerBytesMax: number;
  readonly connectionsMax: number;
  /** Characters of one part of a path that names something. */
  readonly parameterLengthMax: number;
  /** Longest `Prefer: wait`, in seconds. */
  readonly waitSecondsMax: number;
  /** Wrong tokens that one address may send at once, and a second from then on. */
  readonly wrongTokensBurst: number;
  readonly wrongTokensPerSecond: number;
  /** The same for requests of one caller that begin something. */
  readonly beginningsBurst: number;
  readonly beginningsPerSecond: number;
  /** Addresses or callers that each of the two remembers. */
  readonly rateLimitedAddressesMax: number;
  readonly eventStreamsMax: number;
  /** Bytes of events that may happen while an event stream's reader takes nothing; then it is cut. */
  readonly eventBufferBytesMax: number;
  /** Events read from the log in one go while a client catches up. */
  readonly eventPageMax: number;
  readonly eventHeartbeatMs: number;
  /** Time that a closing service gives to answers under way. */
  readonly closeGraceMs: number;
};

export const HTTP_LIMITS: HttpLimits = {
  requestTimeoutMs: 30_000,
  headersTimeoutMs: 10_000,
  silenceTimeoutMs: 4000,
  connectionsCheckMs: 1000,
  connectionTimeoutMs: 75_000,
  keepAliveTimeoutMs: 5000,
  bodyBytesMax: 2 ** 20,
  headerBytesMax: 16 * 1024,
  connectionsMax: 2048,
  parameterLengthMax: 256,
  waitSecondsMax: 60,
  wrongTokensBurst: 20,
  wrongTokensPerSecond: 1,
  beginningsBurst: 2000,
  beginningsPerSecond: 100,
  rateLimitedAddressesMax: 1024,
  eventStreamsMax: 1024,
  eventBufferBytesMax: 2 ** 20,
  eventPageMax: 256,
  eventHeartbeatMs: 15_000,
  closeGraceMs: 2000,
};

/** @throws RangeError if the limits contradict each other. */
export function assertLimits(limits: HttpLimits): void {
  if (limits.headersTimeoutMs > limits.requestTimeoutMs) throw new RangeError('headers may not outlast their request');
  if (limits.connectionTimeoutMs <= limits.waitSecondsMax * 1000) throw new RangeError('a wait would be cut off');
  if (limits.connectionTimeoutMs <= limits.eventHeartbeatMs) throw new RangeError('an event stream would be cut off');
}

/* How often something may be done: so much at once, and so much a second from then on. Each key has a bucket of its own. */

type Bucket = { tokens: number; filledAtMs: number };

type Options = {
  readonly burst: number;
  readonly perSecond: number;
  /** Keys that are remembered; beyond that the one not used for longest is forgotten, and has a full bucket again. */
  readonly keysMax: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
};

export class RateLimit {
  readonly #options: Options;
  readonly #now: () => number;
  /** Used longest ago first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: Options) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Takes one. @returns null, or, if there is none, whole seconds until there will be. */
  take(key: string): number | null {
    const { burst, perSecond } = this.#options;
    const now = this.#now();
    const before = this.#buckets.get(key) ?? { tokens: burst, filledAtMs: now };
    const tokens = Math.min(burst, before.tokens + ((now - before.filledAtMs) / 1000) * perSecond);
    const isAllowed = tokens >= 1;
    this.#remember(key, { tokens: isAllowed ? tokens - 1 : tokens, filledAtMs: now });
    return isAllowed ? null : Math.max(1, Math.ceil((1 - tokens) / perSecond));
  }

  #remember(key: string, bucket: Bucket): void {
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size <= this.#options.keysMax) return;
    const oldest = this.#buckets.keys().next().value;
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}

const GROUPS = 8;
const NETWORK_GROUPS = 4;

/** What one client has to itself: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, GROUPS - before.length - after.length) }, () => '0');
  return [...before, ...zeros, ...after].slice(0, NETWORK_GROUPS).join(':');
}
