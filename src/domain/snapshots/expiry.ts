import type { BlockNodes } from '../ports/block-nodes.ts';
import type { Clock, IdSource, Report, Schedule } from '../ports/process.ts';
import type { Store } from '../ports/store.ts';
import type { Snapshot } from './catalogue.ts';
import { type DeleteParts, deleteSnapshot, refuseDelete } from './snapshot-removal.ts';

/** Time between two searches for expired snapshots, milliseconds. */
const LOOK_MS = 60_000;
/** From the start of a failed deletion until the next attempt, milliseconds. */
const RETRY_MS = 3_600_000;

export type ExpiryParts = DeleteParts & {
  readonly blocks: Pick<BlockNodes, 'onChange'>;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly ids: IdSource;
  readonly store: Pick<Store, 'identity' | 'jobs'>;
  readonly report: Report;
};

type Attempt = { readonly jobId: string; readonly retryAtMs: number };

/**
 * Deletes expired snapshots, one per search. ServiceTime prevents a deletion after a jump of the wall clock. A deletion
 * that waits for a paused job does not delay the deletion of other snapshots, and is not started twice.
 */
export class Expiry {
  readonly #parts: ExpiryParts;
  readonly #time: ServiceTime;
  /** The last deletion of each snapshot that still exists. */
  readonly #attempts = new Map<string, Attempt>();
  #callOff: (() => void) | null = null;
  #isClosed = false;

  constructor(parts: ExpiryParts) {
    this.#parts = parts;
    this.#time = new ServiceTime(parts);
  }

  /** Searches now, and then repeatedly until `close` while any snapshot has an expiry date. */
  start(): void {
    this.#parts.blocks.onChange(() => this.#arm());
    this.look();
    this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    this.#callOff?.();
  }

  #arm(): void {
    if (this.#isClosed || this.#callOff !== null || this.#expiring().length === 0) return;
    this.#callOff = this.#parts.schedule(() => {
      this.#callOff = null;
      this.look();
      this.#arm();
    }, LOOK_MS);
  }

  #expiring(): readonly Snapshot[] {
    return this.#parts.catalogue.all().filter(({ about }) => about !== null && about.expiresAtMs !== null);
  }

  /** Starts the deletion of one expired snapshot. Errors are reported; a later search tries again. */
  look(): void {
    const { clock, report } = this.#parts;
    try {
      this.#time.look();
      const expiring = this.#expiring();
      if (expiring.length === 0) return;
      this.#time.keep();
      for (const tag of this.#attempts.keys()) {
        if (!expiring.some((one) => one.tag === tag)) this.#attempts.delete(tag);
      }
      const due = expiring.find((one) => this.#isDue(one) && this.#deletableFrom(one).length > 0);
      if (due === undefined) return;
      const jobId = `expired-${this.#parts.ids()}`;
      this.#attempts.set(due.tag, { jobId, retryAtMs: clock.monotonic() + RETRY_MS });
      const request = { jobId, tag: due.tag, devices: this.#deletableFrom(due) };
      deleteSnapshot(this.#parts, request, { autoDismiss: true });
    } catch (error) {
      report(error);
    }
  }

  #isDue({ tag, dateMs, about }: Snapshot): boolean {
    const { clock, store } = this.#parts;
    const expiresAtMs = about?.expiresAtMs ?? Number.POSITIVE_INFINITY;
    if (clock.now() - this.#time.jumpedSince(dateMs) <= expiresAtMs) return false;
    const attempt = this.#attempts.get(tag);
    if (attempt === undefined) return true;
    const isUnderWay = store.jobs.get(attempt.jobId)?.outcome === null;
    return !isUnderWay && clock.monotonic() >= attempt.retryAtMs;
  }

  /** The nodes that hold the snapshot and are writable now; none while the guest and its disks are on another host. */
  #deletableFrom({ parts }: Snapshot): readonly string[] {
    const { catalogue } = this.#parts;
    const writable = catalogue.nodes().filter(({ isReadOnly }) => !isReadOnly);
    const names = writable.map(({ name }) => name);
    const devices = parts.map(({ node }) => node).filter((node) => names.includes(node));
    if (devices.length === 0) return [];
    try {
      refuseDelete(this.#parts, { devices });
      return devices;
    } catch {
      return [];
    }
  }
}

export type ServiceTimeParts = { readonly clock: Clock; readonly store: Pick<Store, 'identity'> };

/**
 * Largest gain of the wall clock over the monotonic one between two searches that counts as a correction, milliseconds.
 */
const GAIN_MS_MAX = 5 * 60_000;
/** Longest time without a running service that counts as passed time, milliseconds. */
const AWAY_MS_MAX = 24 * 3_600_000;
const SEEN = 'expiry-clock';
const JUMPS = 'expiry-jumps';

/** A jump of the wall clock: it showed `atMs` and then `byMs` more. */
type Jump = { readonly atMs: number; readonly byMs: number };

/**
 * Jumps of the wall clock since a date. The monotonic clock distinguishes a jump from passed time. Between two
 * processes there is no monotonic clock, so time beyond a day counts as a jump. Therefore, after a jump or a long time
 * without a service, a snapshot may be kept too long, but never too short. If the clock is set back, jumps are removed,
 * the last one first.
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

  /** Compares the clocks. Must be called often: a gain above GAIN_MS_MAX since the last call counts as a jump. */
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

  /** Stores the jumps for a later process. @throws the error of the store */
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
