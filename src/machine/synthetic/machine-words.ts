import type { GuestOrigin } from './guest-disk.ts';

/** What is shown of the guest's disk. */
export type DiskFigures = {
  /** Blocks ever written, and checked. */
  readonly writes: number;
  readonly checks: number;
  /** True once the whole disk was found to be what the guest knows of it. */
  readonly isChecked: boolean;
};

const GENERATION = 0;
const WORKLOAD_VERSION = 1;
const ORIGIN = 2;
const DISK_CHECKED = 3;
const INSIDE = 4;
const FIGURES_PER_VCPU = 2;
/** Behind the figures of the vCPUs: ticks, then the disk's writes and checks. */
const COMMON_FIGURES = 3;
const ORIGINS: readonly GuestOrigin[] = ['boot', 'migration', 'load'];

/**
 * Words that the machine's threads share beside the vCPU control and the devices: what tells vCPUs to look again, and
 * live figures that are read without asking anyone.
 */
export class MachineWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #figures: BigUint64Array;
  readonly #vcpus: number;

  constructor(vcpus: number, buffer?: SharedArrayBuffer) {
    const wordBytes = Math.ceil((INSIDE + vcpus) / 2) * 8;
    const figures = vcpus * FIGURES_PER_VCPU + COMMON_FIGURES;
    this.buffer = buffer ?? new SharedArrayBuffer(wordBytes + figures * 8);
    this.#words = new Int32Array(this.buffer, 0, wordBytes / 4);
    this.#figures = new BigUint64Array(this.buffer, wordBytes, figures);
    this.#vcpus = vcpus;
  }

  /** Changes whenever a machine was adopted: all that a thread remembers of the guest is void. */
  get generation(): number {
    return Atomics.load(this.#words, GENERATION);
  }

  /** Where the guest of this generation comes from. */
  get origin(): GuestOrigin {
    return ORIGINS[Atomics.load(this.#words, ORIGIN)] ?? 'boot';
  }

  nextGeneration(origin: GuestOrigin): void {
    Atomics.store(this.#words, ORIGIN, ORIGINS.indexOf(origin));
    Atomics.store(this.#words, DISK_CHECKED, 0);
    Atomics.add(this.#words, GENERATION, 1);
  }

  /** Changes whenever the workload was changed. */
  get workloadVersion(): number {
    return Atomics.load(this.#words, WORKLOAD_VERSION);
  }

  nextWorkloadVersion(): void {
    Atomics.add(this.#words, WORKLOAD_VERSION, 1);
  }

  /** True while the vCPU counts as running, so that somebody else can take it out if its thread dies there. */
  isInside(vcpu: number): boolean {
    return Atomics.load(this.#words, INSIDE + vcpu) === 1;
  }

  setInside(vcpu: number, isInside: boolean): void {
    Atomics.store(this.#words, INSIDE + vcpu, isInside ? 1 : 0);
  }

  setCounts(vcpu: number, counts: { readonly writes: number; readonly checks: number }): void {
    Atomics.store(this.#figures, vcpu * FIGURES_PER_VCPU, BigInt(counts.writes));
    Atomics.store(this.#figures, vcpu * FIGURES_PER_VCPU + 1, BigInt(counts.checks));
  }

  get pagesWritten(): number {
    return this.#sum(0);
  }

  get pagesChecked(): number {
    return this.#sum(1);
  }

  get ticks(): number {
    return Number(Atomics.load(this.#figures, this.#vcpus * FIGURES_PER_VCPU));
  }

  set ticks(ticks: number) {
    Atomics.store(this.#figures, this.#vcpus * FIGURES_PER_VCPU, BigInt(ticks));
  }

  get disk(): DiskFigures {
    const at = this.#vcpus * FIGURES_PER_VCPU + 1;
    return {
      writes: Number(Atomics.load(this.#figures, at)),
      checks: Number(Atomics.load(this.#figures, at + 1)),
      isChecked: Atomics.load(this.#words, DISK_CHECKED) === 1,
    };
  }

  set disk({ writes, checks, isChecked }: DiskFigures) {
    const at = this.#vcpus * FIGURES_PER_VCPU + 1;
    Atomics.store(this.#figures, at, BigInt(writes));
    Atomics.store(this.#figures, at + 1, BigInt(checks));
    Atomics.store(this.#words, DISK_CHECKED, isChecked ? 1 : 0);
  }

  #sum(figure: number): number {
    let sum = 0;
    for (let vcpu = 0; vcpu < this.#vcpus; vcpu += 1) {
      sum += Number(Atomics.load(this.#figures, vcpu * FIGURES_PER_VCPU + figure));
    }
    return sum;
  }
}
