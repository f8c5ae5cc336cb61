import type { Worker } from 'node:worker_threads';
import { StatusWord } from '../../domain/migration/lifecycle.ts';
import type { MigrationStatus } from '../../domain/migration/status.ts';
import type { MigrationEnd, TransferError, TransferListener } from '../../domain/transfer-port.ts';
import { FigureBlock, sharedMicroseconds } from '../shared/figures.ts';
import { LiveParameterCells } from '../shared/live-parameters.ts';
import type { FromWorker, SharedWords, ToWorker } from './transfer-messages.ts';
import { watchHeartbeat } from './watchdog.ts';
import { WorkerDeath } from './worker-death.ts';

/** How long a worker may take to close its channels after its last word. */
const CLOSE_MS_MAX = 2000;

export type Staff = {
  readonly worker: Worker;
  readonly listener: TransferListener;
  readonly hangMsMax: number;
  /** Called once if the worker died, with a WorkerDeath. */
  readonly report: (error: unknown) => void;
};

/** What both directions share: words, messages, and an end even if the worker dies or hangs. */
export abstract class Transfer {
  readonly status = new StatusWord();
  protected readonly worker: Worker;
  protected readonly live = new LiveParameterCells();
  protected readonly listener: TransferListener;
  protected readonly end = Promise.withResolvers<MigrationEnd>();
  readonly #figures = new FigureBlock();
  readonly #report: Staff['report'];
  readonly #endWatch: () => void;
  readonly #onMessage = (message: FromWorker): void => this.#receive(message);
  readonly #onError = (error: unknown): void => this.#doomed(error);
  readonly #onExit = (code: number): void => this.#crashed(this.#cause ?? new Error(`it exited with status ${code}`));
  /** True once its disks were asked for: the guest may then go on here only after they were taken back. */
  protected hasReleasedDisks = false;
  protected hasEnded = false;
  /** Why the thread is ended, or was, without a word of its own. */
  #cause: unknown = null;

  constructor({ worker, listener, hangMsMax, report }: Staff) {
    this.#report = report;
    this.worker = worker;
    this.listener = listener;
    if (!this.status.transition('none', 'setup')) throw new Error('a new status word is not new');
    worker.ref();
    worker.on('message', this.#onMessage);
    worker.on('error', this.#onError);
    worker.on('exit', this.#onExit);
    worker.on('messageerror', this.#onError);
    this.#endWatch = watchHeartbeat(this.#figures, hangMsMax, () => this.#hung(hangMsMax));
  }

  countFrom(agoMs: number): void {
    this.#figures.set('startedUs', sharedMicroseconds() - agoMs * 1000);
  }

  figures() {
    return this.#figures.read();
  }

  threadId(): number | null {
    return this.#figures.get('threadId') || null;
  }

  protected get words(): SharedWords {
    return { status: this.status.buffer, figures: this.#figures.buffer, live: this.live.buffer };
  }

  protected tell(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  /** Messages that only one direction has. */
  protected abstract special(message: FromWorker): void;

  /** Called when the migration has ended and its worker still listens. */
  protected keepListener(): void {}

  /** Who has the guest of a migration that completed. */
  protected abstract readonly ownerOnceCompleted: MigrationEnd['guest'];

  /** What has to be put right when the worker died. @returns who has the guest. */
  protected abstract rescue(): MigrationEnd['guest'];

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'status':
        this.listener.status(message.status);
        break;
      case 'pass':
        this.listener.pass(message.pass);
        break;
      case 'pass-ended':
        this.listener.passEnded(message.figures);
        break;
      case 'shared':
        this.listener.shared(message.id);
        break;
      case 'guest-stopped':
        this.listener.guestStopped();
        break;
      case 'guest-resumed':
        this.listener.guestResumed();
        break;
      case 'release-disks':
        this.#releaseDisks();
        break;
      case 'ended':
        if (message.isListening) this.#endedListening(message.end);
        else this.#ended(message.end);
        break;
      default:
        this.special(message);
    }
  }

  #releaseDisks(): void {
    this.hasReleasedDisks = true;
    this.listener.releaseDisks().then(
      () => this.tell({ type: 'disks-released', error: null }),
      (error: unknown) => this.tell({ type: 'disks-released', error: notReleased(error) }),
    );
  }

  #ended(end: MigrationEnd): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.#endWatch();
    this.worker.unref();
    const timer = setTimeout(() => void this.worker.terminate(), CLOSE_MS_MAX);
    timer.unref();
    this.worker.once('exit', () => clearTimeout(timer));
    this.end.resolve(end);
  }

  /** The worker lives on with its listener, and is the next migration's. */
  #endedListening(end: MigrationEnd): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.#endWatch();
    this.worker.off('message', this.#onMessage);
    this.worker.off('error', this.#onError);
    this.worker.off('exit', this.#onExit);
    this.worker.off('messageerror', this.#onError);
    this.keepListener();
    this.end.resolve(end);
  }

  #hung(hangMsMax: number): void {
    this.#doomed(new Error(`it showed no sign of life for ${hangMsMax} ms`));
  }

  /** The thread is ended before anything is put right: until then it might still send. */
  #doomed(cause: unknown): void {
    this.#cause ??= cause;
    if (!this.hasEnded) void this.worker.terminate();
  }

  /** The worker died without a word: the migration has failed, unless the shared word had decided otherwise. */
  #crashed(error: unknown): void {
    if (this.hasEnded) return;
    const before = this.status.read();
    const guest = before === 'completed' ? this.ownerOnceCompleted : this.rescue();
    const after = statusAfterCrash(before);
    if (before !== after) this.status.transition(before, after);
    this.#figures.end();
    const death = new WorkerDeath('transfer', `the transfer worker died: ${messageOf(error)}`);
    this.#report(death);
    this.listener.status(after);
    this.#ended({
      status: after,
      error: after === 'failed' ? { code: death.code, message: death.message } : null,
      guest,
    });
  }
}

function notReleased(error: unknown): TransferError {
  const { message } = (error ?? {}) as Partial<TransferError>;
  return { code: 'disks_not_released', message: `the guest's disks were not handed over: ${message ?? String(error)}` };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function statusAfterCrash(before: MigrationStatus): MigrationEnd['status'] {
  if (before === 'cancelling') return 'cancelled';
  return before === 'completed' || before === 'cancelled' ? before : 'failed';
}
