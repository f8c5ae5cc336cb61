/**
 * Limits for one client and for all clients together. docs/limits.md lists them; tests use shorter times.
 * Times are in milliseconds, sizes in bytes.
 */
export type HttpLimits = {
  /** Time for a whole request, headers and body, from its first byte. */
  readonly requestTimeoutMs: number;
  readonly headersTimeoutMs: number;
  /** Time after which a new connection without a single byte is closed. */
  readonly silenceTimeoutMs: number;
  /** Time between two checks of Node for requests that exceed their time. */
  readonly connectionsCheckMs: number;
  /** Time after which an inactive connection is closed. It is longer than the longest wait of `Prefer: wait`. */
  readonly connectionTimeoutMs: number;
  /** Time that a connection stays open between two requests. */
  readonly keepAliveTimeoutMs: number;
  readonly bodyBytesMax: number;
  readonly headerBytesMax: number;
  readonly connectionsMax: number;
  /** Longest parameter in a path, in characters. */
  readonly parameterLengthMax: number;
  /** Longest `Prefer: wait`, in seconds. */
  readonly waitSecondsMax: number;
  /** Wrong tokens that one address may send in a burst, and per second after it. */
  readonly wrongTokensBurst: number;
  readonly wrongTokensPerSecond: number;
  /** Requests that start work: how many one caller may send in a burst, and per second after it. */
  readonly startsBurst: number;
  readonly startsPerSecond: number;
  /** Most addresses or callers that each of these two limits remembers. */
  readonly rateLimitedAddressesMax: number;
  readonly eventStreamsMax: number;
  /** Bytes of events that may happen while a client reads nothing from its event stream; then it is disconnected. */
  readonly eventBufferBytesMax: number;
  /** Most events in one read of the log while a client catches up. */
  readonly eventPageMax: number;
  readonly eventHeartbeatMs: number;
  /** Time that a closing service gives to unfinished answers. */
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
  startsBurst: 2000,
  startsPerSecond: 100,
  rateLimitedAddressesMax: 1024,
  eventStreamsMax: 1024,
  eventBufferBytesMax: 2 ** 20,
  eventPageMax: 256,
  eventHeartbeatMs: 15_000,
  closeGraceMs: 2000,
};

/** @throws RangeError if the limits contradict each other. */
export function assertLimits(limits: HttpLimits): void {
  if (limits.headersTimeoutMs > limits.requestTimeoutMs)
    throw new RangeError('headersTimeoutMs is longer than requestTimeoutMs');
  if (limits.connectionTimeoutMs <= limits.waitSecondsMax * 1000)
    throw new RangeError('connectionTimeoutMs is not longer than the longest wait');
  if (limits.connectionTimeoutMs <= limits.eventHeartbeatMs)
    throw new RangeError('connectionTimeoutMs is not longer than eventHeartbeatMs');
}

/* A token bucket for each key: a burst, then a number of actions per second. */

type Bucket = { tokens: number; filledAtMs: number };

type Options = {
  readonly burst: number;
  readonly perSecond: number;
  /** Most keys that are remembered. Beyond that, the least recently used key is forgotten, and so has a full bucket again. */
  readonly keysMax: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
};

export class RateLimit {
  readonly #options: Options;
  readonly #now: () => number;
  /** Buckets by key, least recently used first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: Options) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Takes one token. @returns null, or, if the bucket is empty, the whole seconds until it has a token again */
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

/** The network of one client: an IPv4 address, or the first 64 bits of an IPv6 address. */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, GROUPS - before.length - after.length) }, () => '0');
  return [...before, ...zeros, ...after].slice(0, NETWORK_GROUPS).join(':');
}
