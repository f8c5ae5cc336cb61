import type { Worker } from 'node:worker_threads';
import { type MigrationStatus, StatusWord } from '../../domain/migration/migration-status.ts';
import type { MigrationEnd, TransferError, TransferListener } from '../../domain/ports/migration-session.ts';
import { FigureBlock, sharedMicroseconds } from '../shared/figures.ts';
import { LiveParameterCells } from '../shared/live-parameters.ts';
import type { FromWorker, SharedCells, ToWorker } from './transfer-messages.ts';
import { WorkerDeath, WorkerThread } from './worker-thread.ts';

/** How long a worker may take to close its channels after its last message. */
const CLOSE_MS_MAX = 2000;

export type TransferThread = WorkerThread<ToWorker, FromWorker>;

/** What a session is given to work with. */
export type SessionStaff = {
  /** The worker that takes the order. */
  readonly worker: Worker;
  readonly listener: TransferListener;
  /** A worker is ended after about this long without a heartbeat; milliseconds. */
  readonly hangMsMax: number;
  /** Called once if the session failed because a worker died, with a WorkerDeath. */
  readonly report: (error: unknown) => void;
};

/**
 * A migration as the main thread sees it, in either direction: its shared cells, its worker threads, and its end. The
 * session belongs to no thread: if a worker dies or hangs it still ends, and says who has the guest.
 */
export abstract class TransferSession {
  readonly status = new StatusWord();
  protected readonly live = new LiveParameterCells();
  protected readonly listener: TransferListener;
  protected readonly end = Promise.withResolvers<MigrationEnd>();
  readonly #figures = new FigureBlock();
  readonly #report: SessionStaff['report'];
  /** The first one takes the orders; the death of any of them ends the session. */
  readonly #threads: readonly [TransferThread, ...TransferThread[]];
  /** True once the disks were asked for: the guest may then run on here only after they were taken back. */
  protected hasReleasedDisks = false;
  protected hasEnded = false;

  constructor({ worker, listener, hangMsMax, report }: SessionStaff) {
    this.#report = report;
    this.listener = listener;
    if (!this.status.transition('none', 'setup')) throw new Error('a new status word is not new');
    const thread: TransferThread = new WorkerThread(worker, {
      hangMsMax,
      // Until the thread has ended it might still send, so nothing is put right before.
      terminateMsMax: null,
      message: (message) => this.#receive(message),
      died: (reason) => this.#crashed(reason),
    });
    this.#threads = [thread];
  }

  countFrom(agoMs: number): void {
    this.#figures.set('startedUs', sharedMicroseconds() - agoMs * 1000);
  }

  figures() {
    return this.#figures.read();
  }

  threadId(): number | null {
    return this.#threads[0].heartbeat.threadId || null;
  }

  protected get cells(): SharedCells {
    return {
      status: this.status.buffer,
      figures: this.#figures.buffer,
      live: this.live.buffer,
      heartbeat: this.#threads[0].heartbeat.buffer,
    };
  }

  protected post(message: ToWorker): void {
    this.#threads[0].post(message);
  }

  /** Messages that only one direction has. */
  protected abstract special(message: FromWorker): void;

  /** Called when the migration has ended and its worker still listens. The worker has no handlers then. */
  protected keepListener(_worker: Worker): void {}

  /** Who has the guest of a migration that completed. */
  protected abstract readonly ownerOnceCompleted: MigrationEnd['guest'];

  /** Puts right what a dead worker left. @returns who has the guest. */
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
      () => this.post({ type: 'disks-released', error: null }),
      (error: unknown) => this.post({ type: 'disks-released', error: notReleased(error) }),
    );
  }

  #ended(end: MigrationEnd): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    for (const thread of this.#threads) thread.leave(CLOSE_MS_MAX);
    this.end.resolve(end);
  }

  /** The worker lives on with its listener, for the next migration. */
  #endedListening(end: MigrationEnd): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.keepListener(this.#threads[0].release());
    this.end.resolve(end);
  }

  /** The migration has failed, unless the status says that it had ended otherwise before the worker died. */
  #crashed(reason: string): void {
    if (this.hasEnded) return;
    const before = this.status.read();
    const guest = before === 'completed' ? this.ownerOnceCompleted : this.rescue();
    const after = statusAfterCrash(before);
    if (before !== after) this.status.transition(before, after);
    this.#figures.end();
    const death = new WorkerDeath('transfer', `the transfer worker died: ${reason}`);
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

function statusAfterCrash(before: MigrationStatus): MigrationEnd['status'] {
  if (before === 'cancelling') return 'cancelled';
  return before === 'completed' || before === 'cancelled' ? before : 'failed';
}
