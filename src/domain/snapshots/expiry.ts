import type { Context } from '../context.ts';
import { deleteSnapshot } from './delete.ts';

/** Between two looks at what has expired, milliseconds. */
const LOOK_MS = 60_000;
/** A wall clock may run ahead of the monotonic one by so much between two looks, milliseconds. */
const AHEAD_MS_MAX = 5 * 60_000;
/** Time in which no service ran counts for so much at most, milliseconds. */
const AWAY_MS_MAX = 24 * 3_600_000;
const SEEN = 'expiry-clock';

/**
 * Deletes snapshots whose time is over, one at each look. Nothing is deleted because a clock jumped ahead: what the wall clock
 * says counts only as far as the monotonic clock agrees, and between two services for a day at most. So after a jump, or a
 * long time without a service, snapshots stay longer than they have to, never shorter.
 */
export class Expiry {
  readonly #context: Context;
  #nowMs: number;
  #lookedMs: number;
  #callOff: (() => void) | null = null;
  #isClosed = false;

  constructor(context: Context) {
    const { clock, store } = context;
    const seen = Number(store.identity.get(SEEN) ?? Number.NaN);
    this.#context = context;
    this.#nowMs = Number.isNaN(seen) ? clock.now() : Math.min(clock.now(), seen + AWAY_MS_MAX);
    this.#lookedMs = clock.monotonic();
  }

  /** Looks now, and from then on again and again until `close`, for as long as there is anything that will expire. */
  start(): void {
    this.#context.blocks.onChange(() => this.#arm());
    this.look();
    this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    this.#callOff?.();
  }

  #arm(): void {
    if (this.#isClosed || this.#callOff !== null || this.#expiring().length === 0) return;
    this.#callOff = this.#context.schedule(() => {
      this.#callOff = null;
      this.look();
      this.#arm();
    }, LOOK_MS);
  }

  #expiring() {
    return this.#context.catalogue.all().filter(({ about }) => about !== null && about.expiresAtMs !== null);
  }

  /** Deletes one snapshot, if one has expired. Faults are reported; the next look tries again. */
  look(): void {
    const { clock, store, catalogue, report } = this.#context;
    const monotonicMs = clock.monotonic();
    const possibleMs = this.#nowMs + (monotonicMs - this.#lookedMs) + AHEAD_MS_MAX;
    // Nor does it go back: what had expired has.
    this.#nowMs = Math.max(this.#nowMs, Math.min(clock.now(), possibleMs));
    this.#lookedMs = monotonicMs;
    try {
      const expiring = this.#expiring();
      if (expiring.length === 0) return;
      store.identity.set(SEEN, String(this.#nowMs));
      const due = expiring.find(({ about }) => (about?.expiresAtMs ?? this.#nowMs) < this.#nowMs);
      if (due === undefined) return;
      const writable = catalogue.nodes().filter(({ isReadOnly }) => !isReadOnly);
      const names = writable.map(({ name }) => name);
      const devices = due.parts.map(({ node }) => node).filter((node) => names.includes(node));
      if (devices.length === 0) return;
      deleteSnapshot(this.#context, { jobId: `expired-${this.#context.ids()}`, tag: due.tag, devices });
    } catch (error) {
      report(error);
    }
  }
}
