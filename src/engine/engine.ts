import type { Worker } from 'node:worker_threads';
import type {
  MigrationAddress,
  MigrationEnd,
  TransferError,
  TransferListener,
} from '../domain/ports/migration-session.ts';
import { trimHeap } from './memory/heap-relief.ts';
import type { LoadedMachine } from './memory/machine-state.ts';
import { HOLD, VcpuControl } from './memory/vcpu-control.ts';
import { WorkerThreads } from './memory/worker-memory.ts';
import type { FromWorker } from './session/transfer-messages.ts';
import { CLOSE_MS_MAX, type SessionParts, TransferSession, type TransferThread } from './session/transfer-session.ts';
import { HANG_MS_MAX, startWorker, WorkerThread } from './session/worker-thread.ts';
import type {
  EngineIncomingEnd,
  EngineListener,
  IncomingPlan,
  IncomingTransfer,
  OutgoingPlan,
  OutgoingTransfer,
  TransferEngine,
} from './transfer-engine.ts';

/** Young and old heap of a worker, MiB: it keeps no more than a few buffers of the stream's small parts. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 192 };

/** Parts of the engine; tests replace the first two. */
export type EngineOptions = {
  /** The program of a transfer worker. */
  readonly workerUrl: URL;
  /** A worker is ended after about this long without a heartbeat; milliseconds. */
  readonly hangMsMax: number;
  /** Counts the transfer workers. */
  readonly workers: WorkerThreads;
  /** Called for each worker that died, with a WorkerDeath. */
  readonly report: (error: unknown) => void;
};

const DEFAULTS: Omit<EngineOptions, 'workers'> = {
  workerUrl: new URL('./session/transfer-worker.ts', import.meta.url),
  hangMsMax: HANG_MS_MAX,
  report: () => {},
};

/**
 * The main-thread side of the transfer engine. Every migration has a worker thread, which ends with it unless its
 * listener is kept. No thread is kept ready: that would save 40 ms of a migration's start and cost 13 MiB while idle.
 */
export function createTransferEngine(options: Partial<EngineOptions> = {}): TransferEngine {
  return new WorkerEngine({ ...DEFAULTS, workers: new WorkerThreads(), ...options });
}

class WorkerEngine implements TransferEngine {
  readonly #options: EngineOptions;
  readonly #running = new Set<Worker>();
  #isClosed = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  startOutgoing(plan: OutgoingPlan, listener: TransferListener): OutgoingTransfer {
    return new Outgoing(this.#parts(listener), plan);
  }

  startIncoming(plan: IncomingPlan, listener: TransferListener): IncomingTransfer {
    return new Incoming(this.#parts(listener), plan);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#running].map((worker) => worker.terminate()));
  }

  #parts(listener: TransferListener): SessionParts {
    return { thread: this.#startThread(), listener, report: this.#options.report };
  }

  #startThread(): TransferThread {
    if (this.#isClosed) throw new Error('the engine is closed');
    const worker = startWorker(this.#options.workerUrl, 'transfer', WORKER_LIMITS);
    this.#options.workers.counted(worker, 'transfer');
    this.#running.add(worker);
    worker.once('exit', () => this.#ended(worker));
    // A thread that was terminated may send until it has ended, so the session waits for its end.
    return new WorkerThread(worker, { hangMsMax: this.#options.hangMsMax, terminateMsMax: null });
  }

  #ended(worker: Worker): void {
    this.#running.delete(worker);
    if (!this.#isClosed) trimHeap();
  }
}

class Outgoing extends TransferSession implements OutgoingTransfer {
  protected readonly ownerOnceCompleted: MigrationEnd['guest'];
  readonly #control: VcpuControl | null;

  constructor(parts: SessionParts, plan: OutgoingPlan) {
    super(parts);
    this.#control = plan.source.vcpuControl === null ? null : new VcpuControl(plan.source.vcpuControl);
    this.ownerOnceCompleted = isConfirmedAtItsEnd(plan) ? 'there' : 'there, unconfirmed';
    this.live.write(plan.parameters);
    void this.end.promise.then(() => this.#endThrottle());
    this.post({ type: 'source', plan, cells: this.cells });
  }

  get ended(): Promise<MigrationEnd> {
    return this.end.promise;
  }

  setParameters(parameters: OutgoingPlan['parameters']): void {
    this.live.write(parameters);
    this.post({ type: 'wake' });
  }

  continueSwitchover(): void {
    this.post({ type: 'continue' });
  }

  cancel() {
    const outcome = this.status.cancel();
    this.post({ type: 'wake' });
    return outcome;
  }

  protected special(): void {}

  /** Called at every end, also if the thread died: the vCPUs run at full speed again. */
  #endThrottle(): void {
    if (this.#control !== null) this.#control.throttlePercent = 0;
  }

  protected rescue(): MigrationEnd['guest'] {
    if (this.status.isHandedOver()) return 'unknown';
    if (this.hasReleasedDisks) return 'here';
    const wasStopped = this.#control !== null && (this.#control.holds() & HOLD.migration) !== 0;
    this.#control?.removeHold(HOLD.migration);
    if (wasStopped) this.listener.guestResumed();
    return 'here';
  }
}

/**
 * True if the guest's owner is certain when the thread dies after the end. Only these transports surely have a reverse
 * direction.
 */
function isConfirmedAtItsEnd({ channels, opensReturnPath }: OutgoingPlan): boolean {
  const { transport } = channels.main;
  return transport === 'file' || (opensReturnPath && (transport === 'tcp' || transport === 'unix'));
}

class Incoming extends TransferSession implements IncomingTransfer {
  protected readonly ownerOnceCompleted = 'here';
  readonly #listening = Promise.withResolvers<MigrationAddress>();
  readonly #loaded = Promise.withResolvers<LoadedMachine>();
  readonly #report: SessionParts['report'];
  #isAborted = false;
  #kept: EngineListener | null = null;

  constructor(parts: SessionParts, plan: IncomingPlan) {
    super(parts);
    this.#report = parts.report;
    this.#listening.promise.catch(() => {});
    this.#loaded.promise.catch(() => {});
    void this.end.promise.then((end) => {
      this.#listening.reject(end.error);
      this.#loaded.reject(end.error);
    });
    this.post({ type: 'target', plan, cells: this.cells });
  }

  get listening(): Promise<MigrationAddress> {
    return this.#listening.promise;
  }

  get loaded(): Promise<LoadedMachine> {
    return this.#loaded.promise;
  }

  get ended(): Promise<EngineIncomingEnd> {
    return this.end.promise.then(({ status, error }) => ({ status, error, listener: this.#kept }));
  }

  setCapabilities(capabilities: readonly string[]): void {
    this.post({ type: 'capabilities', capabilities });
  }

  get isOpen(): boolean {
    return !this.#isAborted && !this.hasEnded;
  }

  /** The guest belongs to this side from now on, also if the thread dies or the sender closes. */
  started(): void {
    this.status.transition('active', 'completed');
    this.post({ type: 'started' });
  }

  refused(error: TransferError): void {
    this.post({ type: 'refused', error });
  }

  abort(): void {
    this.#isAborted = true;
    this.post({ type: 'abort' });
  }

  cancel(): void {
    this.#isAborted = true;
    const message = 'the incoming migration was cancelled at the target; the guest stays at its source';
    this.post({ type: 'refused', error: { code: 'incoming_aborted', message } });
  }

  stopListening(): boolean {
    if (!this.status.transition('setup', 'cancelling')) return false;
    this.abort();
    return true;
  }

  protected special(message: FromWorker): void {
    if (message.type === 'rejected') this.listener.rejected(message.error);
    if (message.type === 'listening') this.#listening.resolve(message.address);
    if (message.type === 'loaded' && !this.#isAborted) this.#loaded.resolve(message.machine);
  }

  protected rescue(): MigrationEnd['guest'] {
    return 'there';
  }

  protected override keepListener(thread: TransferThread): void {
    const report = this.#report;
    this.#kept = {
      next: (plan, listener) => new Incoming({ thread, listener, report }, plan),
      close: () => {
        thread.post({ type: 'stop-listening' });
        thread.leave(CLOSE_MS_MAX);
      },
    };
  }
}
