import type { Clock } from '../ports/process.ts';
import type { Store } from '../ports/store.ts';

export type ServiceTimeParts = { readonly clock: Clock; readonly store: Pick<Store, 'identity'> };

/** A wall clock may gain this much on the monotonic one between two looks, milliseconds: corrections, not jumps. */
const GAIN_MS_MAX = 5 * 60_000;
/** Time in which no service ran counts for so much at most, milliseconds. */
const AWAY_MS_MAX = 24 * 3_600_000;
const SEEN = 'expiry-clock';
const JUMPS = 'expiry-jumps';

/** The wall clock went on by `byMs` in no time, when it showed `atMs`. */
type Jump = { readonly atMs: number; readonly byMs: number };

/**
 * How far the wall clock has jumped ahead since a moment. The monotonic clock tells a jump from time that passed. Between two
 * services there is none: what goes beyond a day then counts as a jump. So whoever subtracts the jumps keeps a thing too long
 * after a jump or a long time without a service, never too short. A clock that is set back takes jumps back, the last first.
 */
export class ServiceTime {
  readonly #parts: ServiceTimeParts;
  #jumps: readonly Jump[];
  #wallMs: number;
  #lookedMs: number;

  constructor(parts: ServiceTimeParts) {
    const { clock, store } = parts;
    const seen = Number(store.identity.get(SEEN) ?? Number.NaN);
    this.#parts = parts;
    this.#jumps = readJumps(store.identity.get(JUMPS));
    this.#wallMs = clock.now();
    this.#lookedMs = clock.monotonic();
    if (Number.isNaN(seen)) return;
    const aheadMs = this.#wallMs - seen - AWAY_MS_MAX;
    if (aheadMs > 0) this.#jumps = [...this.#jumps, { atMs: seen + AWAY_MS_MAX, byMs: aheadMs }];
    if (this.#wallMs < seen) this.#takeBack(seen - this.#wallMs);
  }

  /** Compares the clocks; to be called often, since a jump counts only if it is large against the time between. */
  look(): void {
    const { clock } = this.#parts;
    const [wallMs, lookedMs] = [clock.now(), clock.monotonic()];
    const atMs = this.#wallMs + (lookedMs - this.#lookedMs);
    const gainMs = wallMs - atMs;
    if (gainMs > GAIN_MS_MAX) this.#jumps = [...this.#jumps, { atMs, byMs: gainMs }];
    if (gainMs < -GAIN_MS_MAX) this.#takeBack(-gainMs);
    this.#wallMs = wallMs;
    this.#lookedMs = lookedMs;
  }

  /** Keeps what a later service needs. @throws if it cannot be kept. */
  keep(): void {
    const { identity } = this.#parts.store;
    identity.set(SEEN, String(this.#wallMs));
    identity.set(JUMPS, JSON.stringify(this.#jumps));
  }

  /** Milliseconds that the clock jumped ahead after it showed `dateMs`. */
  jumpedSince(dateMs: number): number {
    return this.#jumps.reduce((sum, { atMs, byMs }) => (dateMs <= atMs ? sum + byMs : sum), 0);
  }

  #takeBack(ms: number): void {
    let left = ms;
    const rest = this.#jumps.toReversed().map(({ atMs, byMs }) => {
      const cut = Math.min(left, byMs);
      left -= cut;
      return { atMs, byMs: byMs - cut };
    });
    this.#jumps = rest.toReversed().filter(({ byMs }) => byMs > 0);
  }
}

function readJumps(text: string | null | undefined): readonly Jump[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(value) ? value.filter(isJump) : [];
  } catch {
    return [];
  }
}

function isJump(value: unknown): value is Jump {
  const { atMs, byMs } = (value ?? {}) as Partial<Jump>;
  return typeof atMs === 'number' && typeof byMs === 'number';
}
