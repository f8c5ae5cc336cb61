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
