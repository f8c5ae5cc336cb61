import { type ResourceLimits, type TransferListItem, Worker } from 'node:worker_threads';
import { Heartbeat } from '../shared/heartbeat.ts';

/** A worker without a heartbeat for this long hangs; its longest blocking call is the stop of the guest, 2 s. */
export const HANG_MS_MAX = 15_000;
/** Checks of the heartbeat in that time. Checks are counted, not time, so that a stopped process does not count as hanging. */
const CHECKS = 5;

/** The end of a worker thread without an order; the message contains the reason. */
export class WorkerDeath extends Error {
  readonly code = 'engine_crashed';
  readonly worker: 'transfer' | 'block';

  constructor(worker: WorkerDeath['worker'], message: string) {
    super(message);
    this.name = 'WorkerDeath';
    this.worker = worker;
  }
}

export type ThreadLimits = {
  /** The thread is ended after about this long without a heartbeat; milliseconds. */
  readonly hangMsMax: number;
  /** Longest wait for the end of a thread that was terminated, in milliseconds; null: until it ends. */
  readonly terminateMsMax: number | null;
};

/** Receiver of the events of a thread. */
export type ThreadOwner<Message> = {
  readonly message: (message: Message) => void;
  /** Called once when the thread has failed or hung, before it is ended. */
  readonly doomed?: (reason: string) => void;
  /** Called once when the thread ended without an order, or did not end in time. `reason` is a clause. */
  readonly died: (reason: string) => void;
};

/** Starts a thread that waits for its first order. `program` is a source file or a file of dist. */
export function startWorker(program: URL, kind: WorkerDeath['worker'], resourceLimits: ResourceLimits): Worker {
  return new Worker(program, { resourceLimits, name: kind });
}

/**
 * The main thread's handle of a worker thread: orders and messages, the watchdog, an orderly end, and its death. Orders
 * and messages are plain data, errors included. The thread has failed when it throws, exits, or shows no heartbeat. A
 * handle has one owner at a time; the next one may take it over with the thread as it is.
 */
export class WorkerThread<Order, Message> {
  readonly heartbeat = new Heartbeat();
  readonly #worker: Worker;
  readonly #limits: ThreadLimits;
  #owner: ThreadOwner<Message> | null = null;
  readonly #endWatch: () => void;
  readonly #exited = Promise.withResolvers<void>();
  /** Reason, as a clause, for which the thread was ended or has ended without an order. */
  #fault: string | null = null;
  #isClosing = false;
  #isOver = false;

  constructor(worker: Worker, limits: ThreadLimits) {
    const { hangMsMax } = limits;
    this.#worker = worker;
    this.#limits = limits;
    const failed = (error: unknown): void => this.#doom(error instanceof Error ? error.message : String(error));
    worker.on('message', (message: Message) => this.#receive(message));
    worker.on('error', failed);
    worker.on('messageerror', failed);
    worker.on('exit', (code) => this.#exit(code));
    this.#endWatch = watchHeartbeat(this.heartbeat, hangMsMax, () =>
      this.#doom(`it showed no sign of life for ${hangMsMax} ms`),
    );
  }

  /** True once the thread has failed; its messages may still arrive. */
  get isDoomed(): boolean {
    return this.#fault !== null;
  }

  /** @param moved objects that are transferred: this thread cannot use them afterwards. */
  post(order: Order, moved: readonly TransferListItem[] = []): void {
    this.#worker.postMessage(order, moved);
  }

  /**
   * The thread has received the order to end, or ends by itself: its end is no death. It is terminated after `closeMsMax`.
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
    if (this.#limits.terminateMsMax !== null) await this.#within(this.#limits.terminateMsMax);
  }

  /** The same without waiting: from now on the thread does not keep the process alive. */
  leave(closeMsMax: number): void {
    this.#worker.unref();
    void this.close(closeMsMax);
  }

  /** `owner` receives the events from now on, instead of the owner before. It also hears of a death before this call. */
  handTo(owner: ThreadOwner<Message>): void {
    this.#owner = owner;
    const reason = this.#fault;
    if (this.#isOver && reason !== null) queueMicrotask(() => owner.died(reason));
  }

  /** Resolves when the thread has ended, in any way. */
  get exited(): Promise<void> {
    return this.#exited.promise;
  }

  #receive(message: Message): void {
    if (!this.#isOver) this.#owner?.message(message);
  }

  #doom(reason: string): void {
    if (this.#fault !== null || this.#isOver) return;
    this.#fault = reason;
    if (this.#isClosing) return;
    this.#owner?.doomed?.(reason);
    void this.#worker.terminate();
    const { terminateMsMax } = this.#limits;
    if (terminateMsMax !== null) void this.#within(terminateMsMax).then(() => this.#die(reason));
  }

  #exit(code: number): void {
    this.#exited.resolve();
    this.#die(this.#fault ?? `it exited with status ${code}`);
  }

  #die(reason: string): void {
    if (this.#isOver || this.#isClosing) return;
    this.#isOver = true;
    this.#fault = reason;
    this.#endWatch();
    this.#owner?.died(reason);
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
    if (unchanged < CHECKS) return;
    clearInterval(timer);
    onHang();
  }, hangMsMax / CHECKS);
  timer.unref();
  return () => clearInterval(timer);
}
