import { setTimeout as sleep } from 'node:timers/promises';
import type { HoldReason } from '../../domain/ports/hypervisor.ts';

/**
 * Shared words with which any thread stops and continues the vCPU threads, without messages.
 *
 * A vCPU counts itself in RUNNING before it reads HOLDS; a thread that stops the vCPUs sets HOLDS before it reads RUNNING.
 * So either the vCPU sees the hold, or the other thread sees the vCPU and waits for it.
 */
const HOLDS = 0;
const RUNNING = 1;
const THROTTLE_PERCENT = 2;
const WORDS = 16;

export class VcpuControl {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, WORDS);
  }

  /** The hold bits that are set: values of HOLD. */
  holds(): number {
    return Atomics.load(this.#words, HOLDS);
  }

  /** Sets hold bits. Returns at once: vCPUs may still run for some microseconds. */
  addHold(bits: number): void {
    Atomics.or(this.#words, HOLDS, bits);
    Atomics.notify(this.#words, HOLDS);
  }

  /** Clears hold bits; vCPUs continue if none is left. */
  removeHold(bits: number): void {
    Atomics.and(this.#words, HOLDS, ~bits);
    Atomics.notify(this.#words, HOLDS);
  }

  /** Blocks until no vCPU runs. For worker threads. @returns false if one still ran after `timeoutMs`. */
  waitStopped(timeoutMs: number): boolean {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const running = Atomics.load(this.#words, RUNNING);
      if (running === 0) return true;
      const left = end - performance.now();
      if (left <= 0) return false;
      Atomics.wait(this.#words, RUNNING, running, left);
    }
  }

  /**
   * Resolves when no vCPU runs. For the main thread, which must not block: it polls every millisecond, about the duration
   * of a slice. (An asynchronous wait on the word would be woken by threads of another isolate, which may outlive this
   * one when a process ends.)
   */
  async whenStopped(): Promise<void> {
    while (Atomics.load(this.#words, RUNNING) !== 0) await sleep(1);
  }

  /** Called by a vCPU before a slice. @returns false if it must not run: it is no longer counted as running then. */
  enter(): boolean {
    // A held vCPU must not count as running even for a moment: other threads read the count at any time.
    if (Atomics.load(this.#words, HOLDS) !== 0) return false;
    Atomics.add(this.#words, RUNNING, 1);
    if (Atomics.load(this.#words, HOLDS) === 0) return true;
    this.leave();
    return false;
  }

  /** Called by a vCPU after a slice, with its registers saved. */
  leave(): void {
    Atomics.sub(this.#words, RUNNING, 1);
    Atomics.notify(this.#words, RUNNING);
  }

  /** Blocks a vCPU until the hold bits change from `seen` or the time is over. */
  park(seen: number, timeoutMs?: number): void {
    Atomics.wait(this.#words, HOLDS, seen, timeoutMs);
  }

  /** Share of time, 0–99 percent, in which every vCPU stands still. */
  get throttlePercent(): number {
    return Atomics.load(this.#words, THROTTLE_PERCENT);
  }

  set throttlePercent(percent: number) {
    Atomics.store(this.#words, THROTTLE_PERCENT, percent);
  }
}

/** A bit for each reason that stops the vCPUs; they run only while none is set. */
export const HOLD = {
  operator: 1,
  migration: 2,
  incoming: 4,
  panic: 8,
  snapshot: 16,
  shutdown: 32,
} as const satisfies Record<HoldReason, number>;

/** The bits of several reasons. */
export function holdBits(reasons: readonly HoldReason[]): number {
  return reasons.reduce((bits, reason) => bits | HOLD[reason], 0);
}
