import { totalmem } from 'node:os';
import type { HoldReason, MachineDescription } from '../../domain/ports/hypervisor.ts';
import { HOLD, holdBits } from '../../engine/memory/holds.ts';
import type { LoadedMachine, TransferSource, TransferTarget } from '../../engine/memory/machine-state.ts';
import type { EmbeddedMachine } from '../embedded-machine.ts';
import { ImageDirty } from './image-dirty.ts';

export type ImageMachineOptions = {
  /** RAM, in bytes, of the largest machine that may be adopted; default: all that this host has. */
  readonly ramBytesMax?: number;
  readonly holds?: readonly HoldReason[];
};

/** A place for a machine that comes from a stream or a snapshot. */
export function createImageMachine(options: ImageMachineOptions = {}): ImageMachine {
  return new ImageMachine(options);
}

type LoadedImage = Extract<LoadedMachine['state'], { form: 'image' }>;

/**
 * A machine as it came from a stream: RAM, and whatever else the stream held, kept to be sent on unchanged. Nothing in
 * it runs, so holding it is only remembering that somebody does.
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

  /** @throws Error before a machine was adopted: ask `isLoaded` first. */
  transferSource(): TransferSource {
    if (this.#loaded === null) throw new Error('no machine has been loaded, so there is nothing to send');
    const { machineName, memory, image } = this.#loaded;
    return { machineName, memory, vcpuControl: null, state: { form: 'image', image } };
  }

  transferTarget(): TransferTarget {
    return { form: 'image', ramBytesMax: this.#ramBytesMax };
  }

  /** Memory is made to fit whatever comes, so that a load never touches what is there. */
  loadTarget(): TransferTarget {
    return this.transferTarget();
  }

  /** Nothing to give back: the memory of a failed load is garbage. */
  discardLoadTarget(): void {}

  clockNs(): bigint {
    return 0n;
  }

  /** Replaces what was there before. @throws Error if it is no image, or larger than it may be. */
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

  /** @throws Error always: `describe().guest` is null, there is no guest that could be told what to do. */
  setWorkload(): void {
    throw new Error('an image machine has no workload');
  }

  /** An image never panics. */
  onPanic(): void {}

  async close(): Promise<void> {
    this.#loaded = null;
  }
}
