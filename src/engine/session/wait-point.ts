import type { TransferError } from '../../domain/ports/migration-session.ts';

/** Thrown in the steps of a migration when a cancel has taken effect. */
export class CancelledSignal extends Error {}

/** Thrown in the steps of a migration that fails. */
export class TransferFailure extends Error {
  readonly code: TransferError['code'];

  constructor(error: TransferError) {
    super(error.message);
    this.code = error.code;
  }

  toError(): TransferError {
    return { code: this.code, message: this.message };
  }
}

/** Converts any error of a step to plain data. An unknown error is a fault of this program: `engine_crashed`. */
export function failureOf(thrown: unknown): TransferError {
  if (thrown instanceof TransferFailure) return thrown.toError();
  if (thrown instanceof Error) return { code: 'engine_crashed', message: thrown.stack ?? thrown.message };
  return { code: 'engine_crashed', message: String(thrown) };
}

/**
 * Lets steps wait for state that callbacks change. A callback changes state and calls `notify`; each waiting step then
 * checks its condition again. A failure or a cancel ends all waits with an exception, a deadline ends its own wait.
 */
export class WaitPoint {
  readonly #isCancelled: () => boolean;
  #failure: TransferError | null = null;
  readonly #waiting = new Set<() => void>();

  constructor(isCancelled: () => boolean) {
    this.#isCancelled = isCancelled;
  }

  notify(): void {
    const woken = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of woken) wake();
  }

  /** Ends this and every later wait. Only the first failure counts. */
  fail(error: TransferError): void {
    this.#failure ??= error;
    this.notify();
  }

  /** @throws CancelledSignal or TransferFailure if either has happened. */
  check(): void {
    if (this.#isCancelled()) throw new CancelledSignal();
    if (this.#failure !== null) throw new TransferFailure(this.#failure);
  }

  /** Waits until `condition` holds, without a deadline. A condition that holds counts also after a failure. */
  async when(condition: () => boolean): Promise<void> {
    while (!condition()) {
      this.check();
      await this.#pause(null);
    }
  }

  /**
   * Waits until `condition` holds. A condition that holds counts also after a failure. After `deadlineMs` the wait fails
   * with `deadline_exceeded`, and the message contains `phase`.
   */
  async until(condition: () => boolean, deadlineMs: number, phase: string): Promise<void> {
    if (await this.within(deadlineMs, condition)) return;
    const message = `nothing happened for ${deadlineMs} ms while ${phase}`;
    throw new TransferFailure({ code: 'deadline_exceeded', message });
  }

  /**
   * Waits until `condition` holds, at most `milliseconds`. Input that has arrived by then counts, also if this process
   * was stopped for longer and has not read it yet. @returns whether the condition holds.
   */
  async within(milliseconds: number, condition: () => boolean): Promise<boolean> {
    const end = performance.now() + milliseconds;
    let hasRead = false;
    for (;;) {
      if (condition()) return true;
      this.check();
      const left = end - performance.now();
      if (left > 0) {
        await this.#pause(left);
      } else if (hasRead) {
        return false;
      } else {
        await pendingInputRead();
        hasRead = true;
      }
    }
  }

  /** Waits `milliseconds`, unless a failure or a cancel comes first. */
  async sleep(milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    for (let left = milliseconds; left > 0; left = end - performance.now()) {
      await this.#pause(left);
      this.check();
    }
  }

  /** Waits for `notify`, at most `milliseconds`; null: without a limit. */
  #pause(milliseconds: number | null): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = milliseconds === null ? undefined : setTimeout(wake, milliseconds);
      this.#waiting.add(wake);
    });
  }
}

/** Turns of the event loop in which pending input of a socket, and then its end, reach their handlers. */
const READING_TURNS = 3;

/**
 * Resolves once the pending input of all sockets has been read. The event loop runs timers before it reads: after a
 * process was stopped (SIGSTOP, a suspended computer), a deadline would otherwise end before input that came in time.
 */
export async function pendingInputRead(): Promise<void> {
  for (let turn = 0; turn < READING_TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
