import type { VmStateWriter } from '../../../block/image.ts';
import type { OutgoingChannel } from '../../channels/channel.ts';
import type { WaitPoint } from '../../session/wait-point.ts';

/**
 * Appends under way at a time. More would not help: the system writes one after the other into a file, and where they go
 * through the page cache, threads that wait for their turn take the processor from the one that encodes.
 */
const APPENDS = 3;

/** A stream into an image's VM state area. Whoever staged it waits on `waitPoint`, which hears of a failure. */
export class VmStateChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #writer: VmStateWriter;
  readonly #waitPoint: WaitPoint;
  readonly #waiting: (() => void)[] = [];
  readonly #appends = new Set<Promise<void>>();
  /** What broke it, as it was thrown; null while nothing has. */
  failure: unknown = null;

  constructor(writer: VmStateWriter, waitPoint: WaitPoint) {
    this.#writer = writer;
    this.#waitPoint = waitPoint;
  }

  write(bytes: Uint8Array, done: () => void): void {
    const append = () => this.#begin(bytes, done);
    if (this.#appends.size < APPENDS) append();
    else this.#waiting.push(append);
  }

  /**
   * Begins nothing more, and waits until what is under way has ended: the memory is not read any more then.
   * @returns false if it had not after `milliseconds`.
   */
  async idle(milliseconds: number): Promise<boolean> {
    this.#waiting.length = 0;
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), milliseconds);
    const isIdle = await Promise.race([late.promise, Promise.all(this.#appends).then(() => true)]);
    clearTimeout(timer);
    return isIdle;
  }

  onReverse(): void {}

  onFailure(): void {}

  async finish(): Promise<void> {}

  destroy(): void {}

  #begin(bytes: Uint8Array, done: () => void): void {
    const append = this.#append(bytes, done).finally(() => {
      this.#appends.delete(append);
      if (this.failure === null) this.#waiting.shift()?.();
    });
    this.#appends.add(append);
  }

  /** Never rejects. */
  async #append(bytes: Uint8Array, done: () => void): Promise<void> {
    try {
      await this.#writer.append(bytes);
      done();
    } catch (error) {
      this.failure ??= error;
      this.#waitPoint.fail({ code: 'channel_failed', message: String(error) });
    }
  }
}
