import type { MessagePort } from 'node:worker_threads';
import { DiskSlot } from '../../engine/memory/disk-slot.ts';
import type { GuestFault } from './diagnosis.ts';
import { diskFault } from './disk-diagnosis.ts';
import { GuestDisk, type GuestDiskOptions } from './guest-disk.ts';

/** Guest time between two rounds of a guest that works. */
const ROUND_MS = 20;
/** Guest time that one slice may add: a host that slept is no disk that does not answer. */
const ADVANCE_MS_MAX = 1000;

/** Guest time after which a request for which the host had no room is made again. */
const RETRY_MS = 20;

/** The guest's end of a disk, as its thread is given it. */
export type DiskLink = {
  readonly blocks: number;
  readonly slot: SharedArrayBuffer;
  readonly port: MessagePort;
  /** Guest time after which a request that was not answered is a failure of the disk. */
  readonly answerMsMax: number;
};

/** Carries requests of a GuestDisk to whoever serves them, in the slices of vCPU 0, which never waits for them. */
export class DiskDriver {
  readonly #disk: GuestDisk;
  readonly #slot: DiskSlot;
  readonly #link: DiskLink;
  readonly #steps: ReturnType<GuestDisk['work']>;
  #fault: GuestFault | null = null;
  #isInFlight = false;
  #isEnded = false;
  #silentMs = 0;
  #untilRoundMs = 0;
  #untilRetryMs = 0;

  constructor(link: DiskLink, options: Omit<GuestDiskOptions, 'blocks' | 'data'>) {
    this.#link = link;
    this.#slot = new DiskSlot(link.slot);
    this.#disk = new GuestDisk({ ...options, blocks: link.blocks, data: this.#slot.data });
    this.#steps = this.#disk.work();
  }

  get isChecked(): boolean {
    return this.#disk.isChecked;
  }

  /**
   * Takes an answer if there is one, and hands over the next request if one is due.
   * @param isBusy False for a guest that is to be idle: it begins no further round.
   * @returns milliseconds until there is more to do; an answer wakes the vCPU by itself.
   */
  advance(elapsedMs: number, isBusy: boolean): number {
    if (this.#fault !== null) throw this.#fault;
    if (this.#isEnded) return Number.POSITIVE_INFINITY;
    const sinceMs = Math.min(elapsedMs, ADVANCE_MS_MAX);
    try {
      if (this.#isInFlight ? this.#isAnswered(sinceMs) : this.#isDue(sinceMs, isBusy)) this.#next();
    } catch (error) {
      // What was found stays found, even if somebody lets the guest go on.
      this.#fault = error as GuestFault;
      throw error;
    }
    if (this.#isInFlight) return this.#slot.state === 'full' ? this.#untilRetryMs : Number.POSITIVE_INFINITY;
    return this.#isEnded || !isBusy ? Number.POSITIVE_INFINITY : this.#untilRoundMs;
  }

  #isAnswered(elapsedMs: number): boolean {
    const answer = this.#slot.take();
    if (answer === null) {
      this.#silentMs += elapsedMs;
      this.#retryIfDue(elapsedMs);
      if (this.#silentMs < this.#link.answerMsMax) return false;
      throw diskFault('disk-failed', `the guest disk has not answered for ${Math.round(this.#silentMs)} ms`);
    }
    if (answer.error !== null) throw diskFault('disk-failed', `a request to the guest disk failed: ${answer.error}`);
    this.#isInFlight = false;
    return true;
  }

  /** The host's disk is full: somebody may make room, or a save that took it gives it back. */
  #retryIfDue(elapsedMs: number): void {
    if (this.#slot.state !== 'full') return;
    this.#untilRetryMs -= elapsedMs;
    if (this.#untilRetryMs > 0) return;
    this.#untilRetryMs = RETRY_MS;
    this.#slot.retry();
    this.#link.port.postMessage(0);
  }

  #isDue(elapsedMs: number, isBusy: boolean): boolean {
    this.#untilRoundMs -= elapsedMs;
    return this.#untilRoundMs <= 0 && (isBusy || !this.#disk.isChecked);
  }

  #next(): void {
    const { value: request, done } = this.#steps.next();
    this.#isEnded = done === true;
    this.#untilRoundMs = ROUND_MS;
    if (!request) return;
    this.#slot.submit(request);
    this.#isInFlight = true;
    this.#silentMs = 0;
    this.#link.port.postMessage(0);
  }
}
