import { type MigrationStatus, SharedStatus } from '../../domain/migration/migration-status.ts';
import type { MigrationEnd, TransferError, TransferListener } from '../../domain/ports/migration-session.ts';
import { FigureBlock, sharedMicroseconds } from '../shared/figures.ts';
import { LiveParameterCells } from '../shared/live-parameters.ts';
import type { FromWorker, SharedCells, ToWorker } from './transfer-messages.ts';
import { WorkerDeath, type WorkerThread } from './worker-thread.ts';

/** Longest time, in milliseconds, in which a thread closes its channels after its last message. */
export const CLOSE_MS_MAX = 2000;

export type TransferThread = WorkerThread<ToWorker, FromWorker>;

export type SessionParts = {
  /** The thread that receives the orders of this session. */
  readonly thread: TransferThread;
  readonly listener: TransferListener;
  /** Called once if the session failed because a thread died, with a WorkerDeath. */
  readonly report: (error: unknown) => void;
};

/**
 * The main thread's side of a migration, in either direction: shared cells, the handle of the worker thread, and the
 * end. A session ends also if its thread dies or hangs, with the owner of the guest; and a thread may be handed to the
 * next session at the end of this one.
 */
export abstract class TransferSession {
  readonly status = new SharedStatus();
  protected readonly live = new LiveParameterCells();
  protected readonly listener: TransferListener;
  protected readonly end = Promise.withResolvers<MigrationEnd>();
  readonly #figures = new FigureBlock();
  readonly #report: SessionParts['report'];
  readonly #thread: TransferThread;
  /** True once the disks were requested: the guest may then continue here only after they were activated again. */
  protected hasReleasedDisks = false;
  protected hasEnded = false;

  constructor({ thread, listener, report }: SessionParts) {
    this.#report = report;
    this.#thread = thread;
    this.listener = listener;
    if (!this.status.transition('none', 'setup')) throw new Error('a new shared status is not new');
    thread.handTo({
      message: (message) => this.#receive(message),
      died: (reason) => this.#crashed(reason),
    });
    void thread.exited.then(() => listener.released());
  }

  countFrom(agoMs: number): void {
    this.#figures.set('startedUs', sharedMicroseconds() - agoMs * 1000);
  }

  figures() {
    return this.#figures.read();
  }

  threadId(): number | null {
    return this.#thread.heartbeat.threadId || null;
  }

  protected get cells(): SharedCells {
    return {
      status: this.status.buffer,
      figures: this.#figures.buffer,
      live: this.live.buffer,
      heartbeat: this.#thread.heartbeat.buffer,
    };
  }

  protected post(message: ToWorker): void {
    this.#thread.post(message);
  }

  /** Called for messages that only one direction has. */
  protected abstract special(message: FromWorker): void;

  /** Called when the migration has ended and its thread still listens. The thread may be handed to another session. */
  protected keepListener(_thread: TransferThread): void {}

  /** The owner of the guest after a migration that completed. */
  protected abstract readonly ownerOnceCompleted: MigrationEnd['guest'];

  /** Undoes the effects of a dead thread on the guest. @returns the owner of the guest. */
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
      case 'limit-vcpus':
        this.listener.limitVcpus();
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
    this.#thread.leave(CLOSE_MS_MAX);
    this.end.resolve(end);
  }

  /** The thread and its listener are kept for the next migration. */
  #endedListening(end: MigrationEnd): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.keepListener(this.#thread);
    this.end.resolve(end);
  }

  /** The migration has failed, unless its status shows another end before the thread died. */
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
