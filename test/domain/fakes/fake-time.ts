import type { Clock, NextTurn, Schedule } from '../../../src/domain/ports/process.ts';

type Timer = { readonly at: number; readonly work: () => void };

/** No other request waits for the thread of a test. */
export const nextTurn: NextTurn = () => Promise.resolve();

/** A clock that a test advances. */
export class FakeTime implements Clock {
  #ms = 0;
  #jumpedMs = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return 1_700_000_000_000 + this.#ms + this.#jumpedMs;
  }

  monotonic(): number {
    return this.#ms;
  }

  readonly schedule: Schedule = (work, delayMs) => {
    const timer = { at: this.#ms + delayMs, work };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** Timers that are still set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Sets the wall clock forward or back, without elapsed time. */
  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  pass(ms: number): void {
    const until = this.#ms + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((left, right) => left.at - right.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#ms = due.at;
      due.work();
    }
    this.#ms = until;
  }
}
