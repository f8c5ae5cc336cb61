import type { Clock, Report, Schedule } from '../ports/process.ts';
import type { EventRecord, Store } from '../ports/store.ts';
import { writeOrReport } from '../store-reserve.ts';

export interface EventUseCases {
  since(after: number, limit: number): readonly EventRecord[];
  bounds(): { readonly oldest: number; readonly newest: number };
  /** Called synchronously for each new event. @returns a function that ends the subscription. */
  subscribe(listener: (event: EventRecord) => void): () => void;
}

/** Number of events that are kept: the newest ones. */
export const EVENTS_KEPT = 100_000;
/** Events appended between two prunings. */
const EVENTS_PER_PRUNING = 1000;

/** Writes an event in the transaction that makes the change. */
export type Emit = (name: string, data?: Readonly<Record<string, unknown>>) => void;

/**
 * The event log: an event is appended in the transaction of the change that it describes. Subscribers receive it after
 * the commit.
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

  /** Runs `work` in one transaction. Subscribers receive its events after the commit. */
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
   * Like `commit`, for a change that has already happened: if it cannot be written, the error is reported. `work` may
   * be called twice.
   */
  commitOrReport(work: (emit: Emit) => void): void {
    writeOrReport({ store: this.#store, report: this.#report }, () => this.commit(work));
  }

  /** Like `commitOrReport`, for one event. */
  emitOrReport(name: string, data?: Readonly<Record<string, unknown>>): void {
    this.commitOrReport((emit) => emit(name, data));
  }

  #notify(event: EventRecord): void {
    for (const listener of [...this.#listeners]) {
      // The event is durable; the other subscribers must receive it even if one of them fails.
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
    // The new event is stored; a failed pruning only keeps old events longer.
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
 * A number that grows with every change that query-migrate or the list of jobs shows: changes of the domain, counted
 * here, plus the revision of the figures. A change of figures is noticed only when the recorder or a request reads
 * them.
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

  /** Grows with changes of the domain only. */
  get stateRevision(): number {
    return this.#counted;
  }

  /** Counts a change. `ended`: last revision of figures that are no longer added, so that the sum does not fall. */
  bump(ended = 0): void {
    this.#counted += 1 + ended;
    this.notify();
  }

  /** Makes waiting calls check their conditions. */
  notify(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when the revision is no longer `seen`, at the time-out, or when `signal` aborts. */
  changed(seen: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    return this.until(() => this.revision() !== seen, timeoutMs, signal);
  }

  /** Like `changed`, for `stateRevision`. */
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
