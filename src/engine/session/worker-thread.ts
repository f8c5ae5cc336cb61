import { type ResourceLimits, type TransferListItem, Worker } from 'node:worker_threads';
import { Heartbeat } from '../shared/heartbeat.ts';

/** A worker without a heartbeat for this long has hung; the longest that it may block is the stop of the guest, 2 s. */
export const HANG_MS_MAX = 15_000;
/** The watchdog looks this often in that time. It counts looks, not time: a stopped process has not hung. */
const LOOKS = 5;

/** A worker thread that ended without an order, or was ended because it hung; the message says how. */
export class WorkerDeath extends Error {
  readonly code = 'engine_crashed';
  readonly worker: 'transfer' | 'block';

  constructor(worker: WorkerDeath['worker'], message: string) {
    super(message);
    this.name = 'WorkerDeath';
    this.worker = worker;
  }
}

export type WorkerThreadOptions<Message> = {
  /** The thread is ended after about this long without a heartbeat; milliseconds. */
  readonly hangMsMax: number;
  /** How long the death of a thread that does not end may be awaited, in milliseconds; null: until it ends. */
  readonly terminateMsMax: number | null;
  readonly message: (message: Message) => void;
  /** Called once when the thread has failed or hung, before it is ended. */
  readonly doomed?: (reason: string) => void;
  /** Called once when the thread ended without an order, or did not end in time. `reason` is a clause. */
  readonly died: (reason: string) => void;
};

/** Starts a thread that waits for its first order. `program` is a source file or what it was built to. */
export function startWorker(program: URL, kind: WorkerDeath['worker'], resourceLimits: ResourceLimits): Worker {
  return new Worker(program, { resourceLimits, name: kind });
}

/**
 * The main thread's handle of a worker thread: orders and messages, the watchdog, an orderly end, and its death. Orders
 * and messages are plain data, errors included. The thread has failed when it throws, exits, or shows no heartbeat.
 */
export class WorkerThread<Order, Message> {
  readonly heartbeat = new Heartbeat();
  readonly #worker: Worker;
  readonly #options: WorkerThreadOptions<Message>;
  readonly #endWatch: () => void;
  readonly #exited = Promise.withResolvers<void>();
  readonly #onMessage = (message: Message): void => this.#receive(message);
  readonly #onError = (error: unknown): void => this.#doom(error instanceof Error ? error.message : String(error));
  readonly #onExit = (code: number): void => this.#exit(code);
  /** Why the thread was ended, or ends, without an order. */
  #fault: string | null = null;
  #isClosing = false;
  #isOver = false;

  constructor(worker: Worker, options: WorkerThreadOptions<Message>) {
    const { hangMsMax } = options;
    this.#worker = worker;
    this.#options = options;
    worker.ref();
    worker.on('message', this.#onMessage);
    worker.on('error', this.#onError);
    worker.on('messageerror', this.#onError);
    worker.on('exit', this.#onExit);
    this.#endWatch = watchHeartbeat(this.heartbeat, hangMsMax, () =>
      this.#doom(`it showed no sign of life for ${hangMsMax} ms`),
    );
  }

  /** True once the thread has failed; it may still send messages. */
  get isDoomed(): boolean {
    return this.#fault !== null;
  }

  /** `moved`: what the thread gets and this one loses. */
  post(order: Order, moved: readonly TransferListItem[] = []): void {
    this.#worker.postMessage(order, moved);
  }

  /**
   * The thread was told to end, or ends by itself: its end is no death. It is ended once `closeMsMax` is over.
   * Resolves when it has ended, or does not end.
   */
  async close(closeMsMax: number): Promise<void> {
    this.#isClosing = true;
    this.#endWatch();
    const isSlow = await this.#within(closeMsMax);
    this.#isOver = true;
    if (!isSlow) return;
    void this.#worker.terminate();
    // A system call that does not return keeps the thread from its end.
    if (this.#options.terminateMsMax !== null) await this.#within(this.#options.terminateMsMax);
  }

  /** The same without waiting: from now on the thread does not keep the process alive. */
  leave(closeMsMax: number): void {
    this.#worker.unref();
    void this.close(closeMsMax);
  }

  /** Gives the thread away as it is. This handle is of no use any more. */
  release(): Worker {
    this.#isOver = true;
    this.#endWatch();
    this.#worker.off('message', this.#onMessage);
    this.#worker.off('error', this.#onError);
    this.#worker.off('messageerror', this.#onError);
    this.#worker.off('exit', this.#onExit);
    return this.#worker;
  }

  #receive(message: Message): void {
    if (!this.#isOver) this.#options.message(message);
  }

  #doom(reason: string): void {
    if (this.#fault !== null || this.#isOver) return;
    this.#fault = reason;
    if (this.#isClosing) return;
    this.#options.doomed?.(reason);
    void this.#worker.terminate();
    const { terminateMsMax } = this.#options;
    if (terminateMsMax !== null) void this.#within(terminateMsMax).then(() => this.#die(reason));
  }

  #exit(code: number): void {
    this.#exited.resolve();
    this.#die(this.#fault ?? `it exited with status ${code}`);
  }

  #die(reason: string): void {
    if (this.#isOver || this.#isClosing) return;
    this.#isOver = true;
    this.#endWatch();
    this.#options.died(reason);
  }

  /** @returns true if the thread still ran after `milliseconds`. */
  async #within(milliseconds: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(true), milliseconds).unref();
    const isLate = await Promise.race([late.promise, this.#exited.promise.then(() => false)]);
    clearTimeout(timer);
    return isLate;
  }
}

/**
 * Calls `onHang` once when the heartbeat has not changed for about `hangMsMax`. The timer does not keep the process alive.
 * @returns a function that ends the watch.
 */
export function watchHeartbeat(heartbeat: Heartbeat, hangMsMax: number, onHang: () => void): () => void {
  let seen = -1;
  let unchanged = 0;
  const timer = setInterval(() => {
    const { beats } = heartbeat;
    unchanged = beats === seen ? unchanged + 1 : 0;
    seen = beats;
    if (unchanged < LOOKS) return;
    clearInterval(timer);
    onHang();
  }, hangMsMax / LOOKS);
  timer.unref();
  return () => clearInterval(timer);
}
