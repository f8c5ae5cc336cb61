import type { Clock, Report, Schedule } from '../ports/process.ts';
import type { EventRecord, Store } from '../ports/store.ts';
import { writeOrReport } from '../store-reserve.ts';

export interface EventUseCases {
  since(after: number, limit: number): readonly EventRecord[];
  bounds(): { readonly oldest: number; readonly newest: number };
  /** Called synchronously for each new event. @returns a function that ends the subscription. */
  subscribe(listener: (event: EventRecord) => void): () => void;
}

/** Newest events that are kept; older ones are pruned. */
export const EVENTS_KEPT = 100_000;
/** Events appended between two prunings. */
const EVENTS_PER_PRUNING = 1000;

/** Writes an event inside the transaction that makes it true. */
export type Emit = (name: string, data?: Readonly<Record<string, unknown>>) => void;

/**
 * The event log: an event is appended in the same transaction as the change that it describes, and reaches subscribers
 * once that transaction is durable.
 */
export class EventHub implements EventUseCases {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #report: Report;
  readonly #listeners = new Set<(event: EventRecord) => void>();
  #untilPruning = 0;

  constructor(store: Store, clock: Clock, report: Report) {
    this.#store = store;
    this.#clock = clock;
    this.#report = report;
  }

  since(after: number, limit: number): readonly EventRecord[] {
    return this.#store.events.since(after, limit);
  }

  bounds(): { readonly oldest: number; readonly newest: number } {
    return this.#store.events.bounds();
  }

  subscribe(listener: (event: EventRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Runs `work` in one transaction; subscribers get its events once all of it was kept. */
  commit<T>(work: (emit: Emit) => T): T {
    const emitted: EventRecord[] = [];
    const result = this.#store.transaction(() =>
      work((name, data) => {
        emitted.push(this.#store.events.append({ name, data: data ?? null, at: this.#clock.now() }));
      }),
    );
    for (const event of emitted) this.#notify(event);
    this.#prune(emitted.length);
    return result;
  }

  /**
   * The same for a change that has happened and cannot be undone: it stands even if its events cannot be written; then
   * the fault is reported. `work` may be called twice.
   */
  commitOrReport(work: (emit: Emit) => void): void {
    writeOrReport({ store: this.#store, report: this.#report }, () => this.commit(work));
  }

  /** One event of such a change. */
  emitOrReport(name: string, data?: Readonly<Record<string, unknown>>): void {
    this.commitOrReport((emit) => emit(name, data));
  }

  #notify(event: EventRecord): void {
    for (const listener of [...this.#listeners]) {
      // The event is durable; a subscriber that fails must not keep the others from it.
      try {
        listener(event);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  #prune(appended: number): void {
    this.#untilPruning -= appended;
    if (this.#untilPruning > 0) return;
    this.#untilPruning = EVENTS_PER_PRUNING;
    // The new event is kept; it does not matter that old ones stay longer.
    try {
      this.#store.events.prune(EVENTS_KEPT);
    } catch (error) {
      this.#report(error);
    }
  }
}

/** A number that grows with every visible change. */
export interface Revisions {
  revision(): number;
  /** Resolves when `revision()` is no longer `seen`, or after `timeoutMs`, or when `signal` aborts. */
  changed(seen: number, timeoutMs: number, signal?: AbortSignal): Promise<void>;
}

/**
 * One growing number for everything that query-migrate shows. Changes of the domain are counted here; figures count
 * their own, and are looked at by the recorder's tick and by whoever asks.
 */
export class Changes {
  readonly #schedule: Schedule;
  readonly #figuresRevision: () => number;
  readonly #waiting = new Set<() => void>();
  #counted = 1;

  constructor(schedule: Schedule, figuresRevision: () => number) {
    this.#schedule = schedule;
    this.#figuresRevision = figuresRevision;
  }

  revision(): number {
    return this.#counted + this.#figuresRevision();
  }

  /** Grows with changes of the domain alone, and not with figures. */
  get stateRevision(): number {
    return this.#counted;
  }

  /** Counts a change, together with `ended` revisions of figures that will not be counted any more. */
  bump(ended = 0): void {
    this.#counted += 1 + ended;
    this.notify();
  }

  /** Lets those who wait look again. */
  notify(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when the revision is no longer `seen`, at the time-out, or when `signal` aborts. */
  changed(seen: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    return this.until(() => this.revision() !== seen, timeoutMs, signal);
  }

  /** The same for `stateRevision`. */
  stateChanged(seen: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    return this.until(() => this.#counted !== seen, timeoutMs, signal);
  }

  /** Resolves when `isReached` holds after a change, at the time-out, or when `signal` aborts. */
  until(isReached: () => boolean, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (isReached() || timeoutMs <= 0 || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(look);
        callOff();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const look = (): void => {
        if (isReached()) done();
      };
      const callOff = this.#schedule(done, timeoutMs);
      this.#waiting.add(look);
      signal?.addEventListener('abort', done);
    });
  }
}
