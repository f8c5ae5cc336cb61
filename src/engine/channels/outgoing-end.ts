import type { TransferError } from '../../domain/ports/migration-session.ts';

/** How an outgoing channel ends: by its first failure, or by a finish. What comes behind the end has no effect. */
export class OutgoingEnd {
  #listener: ((error: TransferError) => void) | null = null;
  #finishing: PromiseWithResolvers<void> | null = null;
  #isFinished = false;
  #failure: TransferError | null = null;

  /** True from `finish` on. */
  get isFinishing(): boolean {
    return this.#finishing !== null;
  }

  /** `listener` is called once, also if the channel has failed before. */
  onFailure(listener: (error: TransferError) => void): void {
    this.#listener = listener;
    if (this.#failure !== null) listener(this.#failure);
  }

  fail(error: TransferError): void {
    if (this.#failure !== null || this.#isFinished) return;
    this.#failure = error;
    this.#finishing?.reject(error);
    this.#listener?.(error);
  }

  /** Nothing more is written. Resolves with `finished`, rejects with the failure. */
  finish(): Promise<void> {
    this.#finishing = Promise.withResolvers<void>();
    if (this.#failure !== null) this.#finishing.reject(this.#failure);
    return this.#finishing.promise;
  }

  /** The peer has taken everything. */
  finished(): void {
    if (this.#finishing === null || this.#failure !== null) return;
    this.#isFinished = true;
    this.#finishing.resolve();
  }

  /** No failure is reported any more. */
  mute(): void {
    this.#listener = null;
  }
}
