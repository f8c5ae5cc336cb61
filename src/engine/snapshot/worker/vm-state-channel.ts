import type { VmStateWriter } from '../../../block/image.ts';
import type { OutgoingChannel } from '../../transport/channel.ts';
import type { Monitor } from '../../worker/monitor.ts';

/**
 * Appends under way at a time. More would not help: the system writes one after the other into a file, and threads that
 * wait for their turn take the processor from the one that encodes.
 */
const APPENDS = 2;

/** A stream into an image's VM state area. Whoever staged it waits on `monitor`, which hears of a failure. */
export class VmStateChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #writer: VmStateWriter;
  readonly #monitor: Monitor;
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;
  /** What broke it, as it was thrown; null while nothing has. */
  failure: unknown = null;

  constructor(writer: VmStateWriter, monitor: Monitor) {
    this.#writer = writer;
    this.#monitor = monitor;
  }

  write(bytes: Uint8Array, done: () => void): void {
    const append = () => void this.#append(bytes, done);
    if (this.#underWay < APPENDS) append();
    else this.#waiting.push(append);
  }

  onReverse(): void {}

  onFailure(): void {}

  async finish(): Promise<void> {}

  destroy(): void {}

  async #append(bytes: Uint8Array, done: () => void): Promise<void> {
    this.#underWay += 1;
    try {
      await this.#writer.append(bytes);
      done();
    } catch (error) {
      this.failure ??= error;
      this.#monitor.fail({ code: 'channel_failed', message: String(error) });
    }
    this.#underWay -= 1;
    if (this.failure === null) this.#waiting.shift()?.();
  }
}
