import type { TransferError } from '../../domain/ports/migration-session.ts';

/** Thrown out of a migration's flow when a cancel has won. */
export class CancelledSignal extends Error {}

/** Thrown out of a migration's flow when it fails. */
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

/**
 * Lets the flows of a task wait for state that callbacks change. A callback changes state and calls `notify`; each flow
 * waits until its condition holds. A failure or a cancel ends all waits with an exception, a deadline ends its own.
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

  /**
   * Waits until `condition` holds, which counts even if a failure came right behind it. After `deadlineMs` it fails
   * with `deadline_exceeded`, which names the `phase`.
   */
  async until(condition: () => boolean, deadlineMs: number, phase: string): Promise<void> {
    if (await this.within(deadlineMs, condition)) return;
    const message = `nothing happened for ${deadlineMs} ms while ${phase}`;
    throw new TransferFailure({ code: 'deadline_exceeded', message });
  }

  /**
   * Waits until `condition` holds, at most `milliseconds`. What has come in by then counts, also if this process was
   * stopped for longer and has not read it yet. @returns whether the condition holds.
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
        await whatWaitsIsRead();
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

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#waiting.add(wake);
    });
  }
}

/** Turns of the event loop in which what waits in a socket, and then its end, reach whoever waits for them. */
const READING_TURNS = 3;

/**
 * Resolves once what waits in sockets has been read. The event loop runs timers before it reads: after a process was
 * stopped (SIGSTOP, a laptop that slept), a deadline would otherwise be judged before what had come in time.
 */
export async function whatWaitsIsRead(): Promise<void> {
  for (let turn = 0; turn < READING_TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
