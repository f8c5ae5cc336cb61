import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Kernels } from '../../engine/kernels/kernels.ts';
import { type DiskAttachment, DiskSlot } from '../../engine/memory/disk-slot.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import type { ConsoleRing, DeviceBody } from './device-bodies.ts';
import { DISK_BLOCK_BYTES, diskFault } from './disk-block.ts';
import {
  DISK_BLOCKS_MAX,
  DiskLedger,
  type DiskRegisters,
  readDiskRegisters,
  writeDiskRegisters,
} from './disk-ledger.ts';
import { DiskProgram, type DiskProgramOptions, type GuestOrigin } from './disk-program.ts';
import type { GuestMap } from './guest-map.ts';
import type { PageGate } from './guest-pages.ts';
import type { GuestFault } from './page-diagnosis.ts';

export type DiskWorkOptions = {
  readonly body: DeviceBody;
  readonly memory: GuestMemory;
  /** Of the first segment. */
  readonly kernels: Kernels;
  readonly map: GuestMap;
  readonly gate: PageGate;
  readonly console: ConsoleRing;
  /** Null: this machine has no disk; the guest's registers of a disk elsewhere are kept. */
  readonly link: DiskLink | null;
  readonly origin: GuestOrigin;
  readonly seed: number;
};

/** The disk for vCPU 0: the registers, the ledger, and the driver if the machine has a disk. */
export class DiskWork {
  readonly registers: DiskRegisters;
  readonly #body: DeviceBody;
  readonly #ledger: DiskLedger;
  readonly #driver: DiskDriver | null;

  /** @throws RangeError if the body is invalid. */
  constructor({ body, memory, kernels, map, gate, console, link, origin, seed }: DiskWorkOptions) {
    this.#body = body;
    this.registers = readDiskRegisters(body);
    this.#ledger = new DiskLedger({ memory, kernels, map, gate });
    const { registers } = this;
    const options = { registers, ledger: this.#ledger, console, origin, seed };
    this.#driver = link === null ? null : new DiskDriver(link, options);
  }

  /** True after the whole disk was checked. */
  get isChecked(): boolean {
    return this.#driver?.isChecked ?? false;
  }

  /** @returns milliseconds until the next call is useful. @throws GuestFault if the disk is not as expected. */
  advance(elapsedMs: number, isBusy: boolean): number {
    return this.#driver?.advance(elapsedMs, isBusy) ?? Number.POSITIVE_INFINITY;
  }

  /** @throws GuestFault if the ledger in RAM does not belong to the registers. */
  checkLedger(): void {
    this.#ledger.check(this.registers);
  }

  save(): void {
    writeDiskRegisters(this.#body, this.registers);
  }
}

/** Guest time between two rounds of a busy guest. */
const ROUND_MS = 20;
/** Most guest time that one slice adds: a sleep of the host must not count as a disk that does not answer. */
const ADVANCE_MS_MAX = 1000;

/** Guest time after which a request is repeated if the host's disk was full. */
const RETRY_MS = 20;

/** The guest's side of a disk, for the thread of vCPU 0. */
export type DiskLink = {
  readonly blocks: number;
  readonly slot: SharedArrayBuffer;
  readonly port: MessagePort;
  /** Guest time after which a request without an answer is a failure of the disk. */
  readonly answerMsMax: number;
};

/** Passes requests of the DiskProgram to the block thread, in the slices of vCPU 0, which never waits for an answer. */
export class DiskDriver {
  readonly #disk: DiskProgram;
  readonly #slot: DiskSlot;
  readonly #link: DiskLink;
  readonly #steps: ReturnType<DiskProgram['work']>;
  #fault: GuestFault | null = null;
  #isInFlight = false;
  #isEnded = false;
  #silentMs = 0;
  #untilRoundMs = 0;
  #untilRetryMs = 0;

  constructor(link: DiskLink, options: Omit<DiskProgramOptions, 'blocks' | 'data'>) {
    this.#link = link;
    this.#slot = new DiskSlot(link.slot);
    this.#disk = new DiskProgram({ ...options, blocks: link.blocks, data: this.#slot.data });
    this.#steps = this.#disk.work();
  }

  get isChecked(): boolean {
    return this.#disk.isChecked;
  }

  /**
   * Takes an answer if there is one, and submits the next request if one is due.
   * @param isBusy False for an idle guest: it begins no further round.
   * @returns milliseconds until the next call is useful; an answer wakes the vCPU.
   */
  advance(elapsedMs: number, isBusy: boolean): number {
    if (this.#fault !== null) throw this.#fault;
    if (this.#isEnded) return Number.POSITIVE_INFINITY;
    const sinceMs = Math.min(elapsedMs, ADVANCE_MS_MAX);
    try {
      if (this.#isInFlight ? this.#isAnswered(sinceMs) : this.#isDue(sinceMs, isBusy)) this.#next();
    } catch (error) {
      // The fault is permanent, also if an operator lets the guest continue.
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

  /** Repeats a request when the host's disk was full: space may have become free. */
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
