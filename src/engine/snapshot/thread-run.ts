import type { TransferListItem, Worker } from 'node:worker_threads';
import { watchHeartbeat } from '../session/watchdog.ts';
import { FigureBlock } from '../shared/figures.ts';
import type { FromBlockThread, ToBlockThread } from './messages.ts';

/** How long the thread may take to end its tasks and close its images, and to end at all once it was told to. */
const CLOSE_MS_MAX = 10_000;
const TERMINATE_MS_MAX = 5000;

export type ThreadListener = {
  message(message: FromBlockThread): void;
  /** Called once it is to be ended; nothing that it says is passed on from then on. */
  ending(reason: string): void;
  /** Called once if the thread ended without being told to; its files are closed by then, if it ended at all. */
  died(reason: string): void;
};

/** One block thread from its first order to its end. */
export class ThreadRun {
  readonly #worker: Worker;
  readonly #figures = new FigureBlock();
  readonly #listener: ThreadListener;
  readonly #endWatch: () => void;
  readonly #exited: Promise<void>;
  #reason: string | null = null;
  #isClosing = false;
  #isOver = false;

  constructor(worker: Worker, hangMsMax: number, listener: ThreadListener) {
    this.#listener = listener;
    this.#worker = worker;
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('message', (message: FromBlockThread) => {
      if (!this.#isOver && this.#reason === null) listener.message(message);
    });
    this.#worker.on('error', (error) => this.#end(error instanceof Error ? error.message : String(error)));
    this.#worker.on('messageerror', (error) => this.#end(error.message));
    this.#worker.on('exit', (code) => this.#die(`it exited with status ${code}`));
    this.#endWatch = watchHeartbeat(this.#figures, hangMsMax, () =>
      this.#end(`it showed no sign of life for ${hangMsMax} ms`),
    );
  }

  get heartbeat(): SharedArrayBuffer {
    return this.#figures.buffer;
  }

  post(message: ToBlockThread, moved: readonly TransferListItem[] = []): void {
    this.#worker.postMessage(message, moved);
  }

  /** Lets it end its tasks and close its images; ends it if that takes too long. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#endWatch();
    this.post({ type: 'close' });
    const isSlow = await this.#within(CLOSE_MS_MAX);
    this.#isOver = true;
    if (!isSlow) return;
    void this.#worker.terminate();
    // A system call that does not come back keeps it from its end.
    await this.#within(TERMINATE_MS_MAX);
  }

  /** Ends the thread, and waits until its files are closed: a new one could not lock them before. */
  #end(reason: string): void {
    if (this.#reason !== null || this.#isOver) return;
    this.#reason = reason;
    if (!this.#isClosing) this.#listener.ending(reason);
    void this.#worker.terminate();
    void this.#within(TERMINATE_MS_MAX).then(() => this.#die(reason));
  }

  #die(reason: string): void {
    if (this.#isOver || this.#isClosing) return;
    this.#isOver = true;
    this.#endWatch();
    this.#listener.died(this.#reason ?? reason);
  }

  /** @returns true if the thread still ran after `milliseconds`. */
  async #within(milliseconds: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(true), milliseconds);
    const isLate = await Promise.race([late.promise, this.#exited.then(() => false)]);
    clearTimeout(timer);
    return isLate;
  }
}
