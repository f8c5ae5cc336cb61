import type { Schedule } from '../ports/process.ts';

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
