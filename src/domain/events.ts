import type { EventUseCases } from './domain.ts';
import type { Clock } from './ports.ts';
import type { EventRecord, Store } from './store-ports.ts';

/** Newest events that are kept; older ones are pruned. */
export const EVENTS_KEPT = 100_000;
/** Events appended between two prunings. */
const EVENTS_PER_PRUNING = 1000;

/** Writes an event inside the transaction that makes it true. */
export type Emit = (name: string, data?: Readonly<Record<string, unknown>>) => void;

/**
 * The event log: an event is appended in the same transaction as the change that it tells of, and reaches subscribers
 * once that transaction is durable.
 */
export class EventHub implements EventUseCases {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #report: (error: unknown) => void;
  readonly #listeners = new Set<(event: EventRecord) => void>();
  #untilPruning = 0;

  constructor(store: Store, clock: Clock, report: (error: unknown) => void) {
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

  /** Runs `work` in one transaction; what it emitted is told to subscribers only if all of it was kept. */
  commit<T>(work: (emit: Emit) => T): T {
    const emitted: EventRecord[] = [];
    const result = this.#store.transaction(() =>
      work((name, data) => {
        emitted.push(this.#store.events.append({ name, data: data ?? null, at: this.#clock.now() }));
      }),
    );
    for (const event of emitted) this.#tell(event);
    this.#prune(emitted.length);
    return result;
  }

  #tell(event: EventRecord): void {
    for (const listener of [...this.#listeners]) {
      // What happened is durable; a subscriber that fails must not undo it for the others.
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
    // What was to be kept is kept; that old events stay for longer is no failure of it.
    try {
      this.#store.events.prune(EVENTS_KEPT);
    } catch (error) {
      this.#report(error);
    }
  }
}
