import { setImmediate as nextTurn } from 'node:timers/promises';
import { WaitPoint } from '../../session/wait-point.ts';
import type { Heartbeat } from '../../shared/heartbeat.ts';
import { TaskCancelled } from '../snapshot-failure.ts';
import type { TaskWords } from '../task-words.ts';

/** Longest stretch for which a task keeps the thread to itself: guest disk requests and other tasks wait for it. */
const TURN_MS = 4;
/** A paused task looks again after this long even if nobody woke it. */
const PAUSED_LOOK_MS = 60_000;

/** A task's end of its words: it comes here between steps, and may be held up or ended here. */
export class TaskControl {
  readonly #words: TaskWords;
  readonly #heartbeat: Heartbeat;
  /** For waits that a cancel is to end. */
  readonly waitPoint: WaitPoint;
  #turnBeganMs = performance.now();
  #interruption: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(words: TaskWords, heartbeat: Heartbeat) {
    this.#words = words;
    this.#heartbeat = heartbeat;
    this.waitPoint = new WaitPoint(() => words.isCancelled);
  }

  /** Something in the words changed. */
  wake(): void {
    this.waitPoint.notify();
    this.#wake?.();
  }

  /** Ends the task at its next step, with this error. */
  interrupt(error: Error): void {
    this.#interruption = error;
    this.#wake?.();
  }

  /** Waits for `wake`, at most `milliseconds`; a cancel does not end it by itself. */
  untilWoken(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }

  /** @throws TaskCancelled if a cancel came, or the error of an interruption. */
  check(): void {
    if (this.#interruption !== null) throw this.#interruption;
    if (this.#words.isCancelled) throw new TaskCancelled();
  }

  /** Waits while the task is paused, and lets others have the thread now and then. @throws TaskCancelled */
  async breathe(): Promise<void> {
    this.check();
    if (this.#words.isPaused) await this.#whilePaused();
    const now = performance.now();
    if (now - this.#turnBeganMs < TURN_MS) return;
    this.#heartbeat.beat();
    await nextTurn();
    this.#turnBeganMs = performance.now();
    this.check();
  }

  addTotal(bytes: number): void {
    this.#words.addTotal(bytes);
  }

  addCurrent(bytes: number): void {
    this.#words.addCurrent(bytes);
  }

  async #whilePaused(): Promise<void> {
    const isHeld = () => this.#words.isPaused && !this.#words.isCancelled && this.#interruption === null;
    while (isHeld()) await this.untilWoken(PAUSED_LOOK_MS);
    this.check();
  }
}
