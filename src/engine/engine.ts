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
import type { FromWorker, ToWorker } from './session/transfer-messages.ts';
import { type SessionStaff, TransferSession } from './session/transfer-session.ts';
import { HANG_MS_MAX, startWorker } from './session/worker-thread.ts';
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
 * The transfer engine's main-thread end. Every migration has a worker thread of its own, which ends with it. None is
 * kept ready: that would save a migration the 40 ms of a thread's start and cost an idle service 13 MiB.
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
    return new Outgoing(this.#staff(listener), plan);
  }

  startIncoming(plan: IncomingPlan, listener: TransferListener): IncomingTransfer {
    return new Incoming(this.#staff(listener), plan);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#running].map((worker) => worker.terminate()));
  }

  #staff(listener: TransferListener): SessionStaff {
    const { hangMsMax, report } = this.#options;
    const worker = this.#takeWorker();
    worker.once('exit', () => listener.released());
    return { worker, listener, hangMsMax, report };
  }

  #takeWorker(): Worker {
    if (this.#isClosed) throw new Error('the engine is closed');
    const worker = startWorker(this.#options.workerUrl, 'transfer', WORKER_LIMITS);
    this.#options.workers.counted(worker, 'transfer');
    this.#running.add(worker);
    worker.once('exit', () => this.#ended(worker));
    return worker;
  }

  #ended(worker: Worker): void {
    this.#running.delete(worker);
    if (!this.#isClosed) trimHeap();
  }
}

class Outgoing extends TransferSession implements OutgoingTransfer {
  protected readonly ownerOnceCompleted: MigrationEnd['guest'];
  readonly #control: VcpuControl | null;

  constructor(staff: SessionStaff, plan: OutgoingPlan) {
    super(staff);
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

  /** Whichever way the migration has ended, and also if its worker died: the vCPUs run at full speed. */
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

/** Of a worker that died after the end: whether its channel has a reverse direction is certain for these only. */
function isConfirmedAtItsEnd({ address: { transport }, opensReturnPath }: OutgoingPlan): boolean {
  return transport === 'file' || (opensReturnPath && (transport === 'tcp' || transport === 'unix'));
}

class Incoming extends TransferSession implements IncomingTransfer {
  protected readonly ownerOnceCompleted = 'here';
  readonly #listening = Promise.withResolvers<MigrationAddress>();
  readonly #loaded = Promise.withResolvers<LoadedMachine>();
  readonly #staff: SessionStaff;
  #isAborted = false;
  #kept: EngineListener | null = null;

  constructor(staff: SessionStaff, plan: IncomingPlan) {
    super(staff);
    this.#staff = staff;
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

  /** The guest runs here from now on, whatever becomes of the worker and of the sender. */
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

  protected override keepListener(worker: Worker): void {
    const { hangMsMax, report } = this.#staff;
    this.#kept = {
      next: (plan, listener) => new Incoming({ worker, listener, hangMsMax, report }, plan),
      close: () => {
        // The session is over; without a handler an error of the worker would end the process.
        worker.on('error', () => {});
        worker.postMessage({ type: 'stop-listening' } satisfies ToWorker);
        worker.unref();
      },
    };
  }
}
