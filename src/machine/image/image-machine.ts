import { totalmem } from 'node:os';
import type {
  DirtyPort,
  DirtyRateFigures,
  DirtyRatePlan,
  HoldReason,
  MachineDescription,
} from '../../domain/ports/hypervisor.ts';
import type { GuestMemory, LoadedMachine, TransferSource, TransferTarget } from '../../engine/memory/machine-state.ts';
import { HOLD, holdBits } from '../../engine/memory/vcpu-control.ts';
import { measureBySampling, timePassed } from '../dirty/page-sampling.ts';
import type { EmbeddedMachine } from '../embedded-machine.ts';

export type ImageMachineOptions = {
  /** RAM, in bytes, of the largest machine that may be adopted; default: the RAM of this host. */
  readonly ramBytesMax?: number;
  readonly holds?: readonly HoldReason[];
};

/** Creates an empty image machine, for a machine from a stream or a snapshot. */
export function createImageMachine(options: ImageMachineOptions = {}): ImageMachine {
  return new ImageMachine(options);
}

type LoadedImage = Extract<LoadedMachine['state'], { form: 'image' }>;

/**
 * A machine as it came from a stream: its RAM and all other content of the stream, to be sent on unchanged. It never
 * runs, so a hold is only recorded.
 */
export class ImageMachine implements EmbeddedMachine {
  readonly kind = 'image';
  readonly canRun = false;
  readonly dirty = new ImageDirty(() => this.#loaded?.memory ?? null);
  readonly #ramBytesMax: number;
  #holds: number;
  #loaded: LoadedImage | null = null;

  constructor({ ramBytesMax = totalmem(), holds = [] }: ImageMachineOptions) {
    this.#ramBytesMax = ramBytesMax;
    this.#holds = holdBits(holds);
  }

  get isLoaded(): boolean {
    return this.#loaded !== null;
  }

  describe(): MachineDescription {
    const ramBlocks = this.#loaded?.memory.blocks.map(({ name, bytes }) => ({ name, bytes })) ?? [];
    return { machineName: this.#loaded?.machineName ?? null, ramBlocks, vcpus: 0, guest: null };
  }

  async hold(reason: HoldReason): Promise<void> {
    this.#holds |= HOLD[reason];
  }

  release(reason: HoldReason): void {
    this.#holds &= ~HOLD[reason];
  }

  isHeldFor(reason: HoldReason): boolean {
    return (this.#holds & HOLD[reason]) !== 0;
  }

  /** @throws Error if no machine was adopted; see `isLoaded`. */
  transferSource(): TransferSource {
    if (this.#loaded === null) throw new Error('no machine has been loaded, so there is nothing to send');
    const { machineName, memory, image } = this.#loaded;
    return { machineName, memory, vcpuControl: null, state: { form: 'image', image } };
  }

  transferTarget(): TransferTarget {
    return { form: 'image', ramBytesMax: this.#ramBytesMax };
  }

  /** A load creates memory of the size of the incoming machine; the present memory is not changed. */
  loadTarget(): TransferTarget {
    return this.transferTarget();
  }

  /** Does nothing: the memory of a failed load is garbage collected. */
  discardLoadTarget(): void {}

  clockNs(): bigint {
    return 0n;
  }

  /** Replaces the present machine. @throws Error if the machine is not an image, or is too large. */
  adopt({ state }: LoadedMachine): void {
    if (state.form !== 'image') throw new Error('an image machine cannot adopt the devices of a synthetic one');
    const bytes = state.memory.blocks.reduce((sum, block) => sum + block.bytes, 0);
    if (bytes > this.#ramBytesMax) {
      throw new RangeError(`the machine has ${bytes} bytes of RAM; allowed are ${this.#ramBytesMax}`);
    }
    this.#loaded = state;
  }

  console(): null {
    return null;
  }

  /** @throws Error always, because an image machine has no guest. */
  setWorkload(): void {
    throw new Error('an image machine has no workload');
  }

  /** An image never panics. */
  onPanic(): void {}

  async close(): Promise<void> {
    this.#loaded = null;
  }
}

/** Dirty rate of an image machine. It has no vCPU, so the result is that of a stopped guest. */
export class ImageDirty implements DirtyPort {
  readonly ringEntries = null;
  readonly #memory: () => GuestMemory | null;

  constructor(memory: () => GuestMemory | null) {
    this.#memory = memory;
  }

  async measure(plan: DirtyRatePlan, signal: AbortSignal): Promise<DirtyRateFigures> {
    if (plan.mode === 'page-sampling') return measureBySampling({ memory: this.#memory, plan, signal });
    return { elapsedMs: await timePassed(plan.calcTimeMs, signal), bytes: 0, bytesByVcpu: [] };
  }

  /** @throws Error always, because there is no vCPU. */
  limit(): void {
    throw new Error('an image machine has no vCPU that could be limited');
  }

  currentRates(): readonly number[] {
    return [];
  }

  heldShares(): readonly number[] {
    return [];
  }
}
