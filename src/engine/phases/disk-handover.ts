import type { TransferError } from '../../domain/ports/migration-session.ts';
import type { FromWorker } from '../session/transfer-messages.ts';
import type { WaitPoint } from '../session/wait-point.ts';

/** The disks of a guest that is about to leave: the main thread gives them to the target while the last pages travel. */
export class DiskHandover {
  readonly #waitPoint: WaitPoint;
  readonly #post: (message: FromWorker) => void;
  #isRequested = false;
  #isReleased = false;

  constructor(waitPoint: WaitPoint, post: (message: FromWorker) => void) {
    this.#waitPoint = waitPoint;
    this.#post = post;
  }

  /** From then on the guest may go on here only after the main thread has taken the disks back. */
  get isRequested(): boolean {
    return this.#isRequested;
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  request(): void {
    this.#isRequested = true;
    this.#post({ type: 'release-disks' });
  }

  /** The main thread's answer. An error fails the migration. */
  answered(error: TransferError | null): void {
    this.#isReleased = error === null;
    if (error === null) this.#waitPoint.notify();
    else this.#waitPoint.fail(error);
  }
}
