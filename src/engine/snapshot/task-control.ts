import { setImmediate as nextLoop } from 'node:timers/promises';
import { BlockError } from '../../block/image.ts';
import type { DamageReport, SnapshotError } from '../../domain/ports/block-nodes.ts';
import { CancelledSignal, TransferFailure, WaitPoint } from '../session/wait-point.ts';
import type { Heartbeat } from '../shared/heartbeat.ts';
import { StreamError } from '../stream/bytes.ts';

/* Shared cells of one task, 32 bytes: i32 requests (bits), then at 8 and 16 the bytes done and the bytes to do. */
const ASKED_PAUSE = 1;
const ASKED_CANCEL = 2;
const CURRENT = 1;
const TOTAL = 2;

/** Shared cells of a task. The main thread writes pause and cancel, the block thread writes progress; both read all. */
export class TaskCells {
  readonly buffer: SharedArrayBuffer;
  readonly #asked: Int32Array;
  readonly #bytes: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(32)) {
    this.buffer = buffer;
    this.#asked = new Int32Array(buffer, 0, 1);
    this.#bytes = new BigInt64Array(buffer);
  }

  get isPaused(): boolean {
    return (Atomics.load(this.#asked, 0) & ASKED_PAUSE) !== 0;
  }

  set isPaused(isPaused: boolean) {
    if (isPaused) Atomics.or(this.#asked, 0, ASKED_PAUSE);
    else Atomics.and(this.#asked, 0, ~ASKED_PAUSE);
  }

  get isCancelled(): boolean {
    return (Atomics.load(this.#asked, 0) & ASKED_CANCEL) !== 0;
  }

  cancel(): void {
    Atomics.or(this.#asked, 0, ASKED_CANCEL);
  }

  /** Bytes done and bytes to do. Both only increase; `current` is never above `total`. */
  progress(): { readonly current: number; readonly total: number } {
    const current = Number(Atomics.load(this.#bytes, CURRENT));
    const total = Number(Atomics.load(this.#bytes, TOTAL));
    return { current: Math.min(current, total), total };
  }

  addTotal(bytes: number): void {
    Atomics.add(this.#bytes, TOTAL, BigInt(bytes));
  }

  addCurrent(bytes: number): void {
    Atomics.add(this.#bytes, CURRENT, BigInt(bytes));
  }
}

/** Longest time for which a task occupies the thread: guest disk requests and other tasks wait for it. */
const SLICE_MS = 4;
/** A paused task reads its cells again after this time without a message. */
const PAUSED_POLL_MS = 60_000;

/** The block thread's side of the cells. A task calls `breathe` between steps, and is paused or ended there. */
export class TaskControl {
  readonly #cells: TaskCells;
  readonly #heartbeat: Heartbeat;
  /** For waits that a cancel must end. */
  readonly waitPoint: WaitPoint;
  #sliceBegunMs = performance.now();
  #interruption: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(cells: TaskCells, heartbeat: Heartbeat) {
    this.#cells = cells;
    this.#heartbeat = heartbeat;
    this.waitPoint = new WaitPoint(() => cells.isCancelled);
  }

  /** Called after the cells have changed. */
  wake(): void {
    this.waitPoint.notify();
    this.#wake?.();
  }

  /** Ends the task at its next step, with this error. */
  interrupt(error: Error): void {
    this.#interruption = error;
    this.#wake?.();
  }

  /** Waits for `wake`, at most `milliseconds`. */
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

  /** @throws TaskCancelled after a cancel; the error of `interrupt` after an interruption. */
  check(): void {
    if (this.#interruption !== null) throw this.#interruption;
    if (this.#cells.isCancelled) throw new TaskCancelled();
  }

  /** Waits while the task is paused, and regularly lets other work of the thread run. Throws as `check` does. */
  async breathe(): Promise<void> {
    this.check();
    if (this.#cells.isPaused) await this.#whilePaused();
    const now = performance.now();
    if (now - this.#sliceBegunMs < SLICE_MS) return;
    this.#heartbeat.beat();
    await nextLoop();
    this.#sliceBegunMs = performance.now();
    this.check();
  }

  addTotal(bytes: number): void {
    this.#cells.addTotal(bytes);
  }

  addCurrent(bytes: number): void {
    this.#cells.addCurrent(bytes);
  }

  async #whilePaused(): Promise<void> {
    const isHeld = () => this.#cells.isPaused && !this.#cells.isCancelled && this.#interruption === null;
    while (isHeld()) await this.untilWoken(PAUSED_POLL_MS);
    this.check();
  }
}

/** Thrown in a task after it was cancelled. */
export class TaskCancelled extends Error {
  constructor() {
    super('the job was cancelled');
    this.name = 'TaskCancelled';
  }
}

/** Thrown in a task that fails. */
export class SnapshotFailure extends Error {
  readonly code: SnapshotError['code'];
  readonly damage: readonly DamageReport[] | null;

  constructor(code: SnapshotError['code'], message: string, damage: readonly DamageReport[] | null = null) {
    super(message);
    this.name = 'SnapshotFailure';
    this.code = code;
    this.damage = damage;
  }
}

/** Thrown in a task that failed and could not undo all of its changes. */
export class LeftBehind extends Error {
  /** @param what a clause with tag, nodes and reasons. */
  constructor(what: string, cause: unknown) {
    super(what, { cause });
    this.name = 'LeftBehind';
  }
}

/** Converts any error of a task to plain data for the main thread. */
export function toSnapshotError(thrown: unknown): SnapshotError {
  if (thrown instanceof LeftBehind) return withLeft(toSnapshotError(thrown.cause), thrown.message);
  if (thrown instanceof TaskCancelled) return { code: 'job_cancelled', message: thrown.message };
  if (thrown instanceof SnapshotFailure) {
    const { code, message, damage } = thrown;
    return damage === null ? { code, message } : { code, message, damage };
  }
  if (thrown instanceof BlockError) return { code: thrown.code, message: thrown.message };
  if (thrown instanceof StreamError) return { code: thrown.code, message: thrown.message };
  if (thrown instanceof CancelledSignal) return { code: 'job_cancelled', message: 'the job was cancelled' };
  if (thrown instanceof TransferFailure) return thrown.toError();
  const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return { code: 'engine_failed', message };
}

/** Adds to an error that changes of the task remain. @param what the remaining changes, as a clause. */
export function withLeft(error: SnapshotError, what: string): SnapshotError {
  return { ...error, message: `${error.message} (${what})`, left: true };
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
