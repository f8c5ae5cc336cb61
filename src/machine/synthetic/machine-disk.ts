import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type DiskAttachment, DiskSlot } from '../../engine/memory/disk-slot.ts';
import { DISK_BLOCK_BYTES } from './disk-block.ts';
import type { DiskLink } from './disk-driver.ts';
import { DISK_BLOCKS_MAX } from './disk-ledger.ts';

/** A disk has failed if it does not answer for this time: guest time for the guest, real time for a hold. */
const ANSWER_MS_MAX = 30_000;
const BLOCKS_MIN = 2;

export type MachineDiskOptions = {
  /** Size of the disk; blocks behind DISK_BLOCKS_MAX are not used. */
  readonly bytes: number;
  /** Milliseconds; for tests. */
  readonly answerMsMax?: number;
};

/**
 * The guest's disk on the main thread: it creates both sides of the connection, and knows whether a request is in
 * progress.
 */
export class MachineDisk {
  readonly link: DiskLink;
  readonly #slot = new DiskSlot();
  readonly #served: MessagePort;

  /** @throws RangeError if the disk is too small for the superblock and one block. */
  constructor({ bytes, answerMsMax = ANSWER_MS_MAX }: MachineDiskOptions) {
    const blocks = Math.min(DISK_BLOCKS_MAX, Math.floor(bytes / DISK_BLOCK_BYTES));
    if (!(blocks >= BLOCKS_MIN)) {
      throw new RangeError(`the guest's disk has ${bytes} bytes; at least ${BLOCKS_MIN * DISK_BLOCK_BYTES} are needed`);
    }
    const { port1, port2 } = new MessageChannel();
    this.#served = port1;
    this.link = { blocks, slot: this.#slot.buffer, port: port2, answerMsMax };
  }

  /** The side for the thread that serves the disk. The port can be transferred only once. */
  attachment(vcpuControl: SharedArrayBuffer): DiskAttachment {
    return { port: this.#served, slot: this.#slot.buffer, vcpuControl };
  }

  /**
   * Resolves when no request is in progress, or `isNeeded` returns false. The vCPUs must be stopped. Polls every
   * millisecond, about the duration of a request.
   * @throws Error if the disk does not answer.
   */
  async whenQuiet(isNeeded: () => boolean): Promise<void> {
    const startMs = performance.now();
    while (this.#slot.state === 'submitted' && isNeeded()) {
      const waitedMs = performance.now() - startMs;
      if (waitedMs > this.link.answerMsMax) {
        throw new Error(`the guest cannot be stopped: its disk has not answered for ${Math.round(waitedMs)} ms`);
      }
      await sleep(1);
    }
  }

  /** @throws Error if a request is in progress. */
  assertQuiet(): void {
    if (this.#slot.state === 'submitted') throw new Error('a request to the guest disk is in flight');
  }

  /** Drops an answer for a guest that is replaced. @throws Error if a request is in progress. */
  reset(): void {
    this.#slot.reset();
  }

  close(): void {
    this.#served.close();
  }
}
