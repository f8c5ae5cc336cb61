import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type DiskAttachment, DiskSlot } from '../../engine/memory/disk-slot.ts';
import { DISK_BLOCK_BYTES } from './disk-block.ts';
import type { DiskLink } from './disk-driver.ts';
import { DISK_BLOCKS_MAX } from './disk-registers.ts';

/** A disk that does not answer for so long has failed: guest time for the guest, real time for who stops it. */
const ANSWER_MS_MAX = 30_000;
const BLOCKS_MIN = 2;

export type MachineDiskOptions = {
  /** Size of the disk; what lies behind DISK_BLOCKS_MAX blocks is not used. */
  readonly bytes: number;
  /** Milliseconds; for tests. */
  readonly answerMsMax?: number;
};

/** The guest's disk as the main thread has it: both ends before they are handed out, and whether a request is under way. */
export class MachineDisk {
  readonly link: DiskLink;
  readonly #slot = new DiskSlot();
  readonly #served: MessagePort;

  /** @throws RangeError if the disk has not even a block beside its superblock. */
  constructor({ bytes, answerMsMax = ANSWER_MS_MAX }: MachineDiskOptions) {
    const blocks = Math.min(DISK_BLOCKS_MAX, Math.floor(bytes / DISK_BLOCK_BYTES));
    if (!(blocks >= BLOCKS_MIN)) {
      throw new RangeError(`the guest's disk has ${bytes} bytes; at least ${BLOCKS_MIN * DISK_BLOCK_BYTES} are needed`);
    }
    const { port1, port2 } = new MessageChannel();
    this.#served = port1;
    this.link = { blocks, slot: this.#slot.buffer, port: port2, answerMsMax };
  }

  /** For whoever serves the disk. The port can be moved to one thread only. */
  attachment(vcpuControl: SharedArrayBuffer): DiskAttachment {
    return { port: this.#served, slot: this.#slot.buffer, vcpuControl };
  }

  /**
   * Resolves when no request is in flight, or nobody needs that any more. For vCPUs that stand still: looks again every
   * millisecond, about as long as a request takes.
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

  /** @throws Error if a request is in flight. */
  assertQuiet(): void {
    if (this.#slot.state === 'submitted') throw new Error('a request to the guest disk is in flight');
  }

  /** Drops what a guest that is replaced would have been answered. @throws Error if a request is in flight. */
  reset(): void {
    this.#slot.reset();
  }

  close(): void {
    this.#served.close();
  }
}
