import type { GuestOrigin } from './disk-program.ts';

/** Figures of the guest's disk. */
export type DiskFigures = {
  /** Number of blocks written, and checked. */
  readonly writes: number;
  readonly checks: number;
  /** True after the whole disk was checked. */
  readonly isChecked: boolean;
};

const GENERATION = 0;
const WORKLOAD_VERSION = 1;
const ORIGIN = 2;
const DISK_CHECKED = 3;
const INSIDE = 4;
const FIGURES_PER_VCPU = 2;
/** Figures behind those of the vCPUs: ticks, then writes and checks of the disk. */
const COMMON_FIGURES = 3;
const ORIGINS: readonly GuestOrigin[] = ['boot', 'migration', 'load'];

/**
 * Cells that the machine's threads share, beside the vCPU control and the devices: versions that make vCPUs read their
 * state again, and live figures.
 */
export class MachineCells {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #figures: BigUint64Array;
  readonly #vcpus: number;

  constructor(vcpus: number, buffer?: SharedArrayBuffer) {
    const cellBytes = Math.ceil((INSIDE + vcpus) / 2) * 8;
    const figures = vcpus * FIGURES_PER_VCPU + COMMON_FIGURES;
    this.buffer = buffer ?? new SharedArrayBuffer(cellBytes + figures * 8);
    this.#cells = new Int32Array(this.buffer, 0, cellBytes / 4);
    this.#figures = new BigUint64Array(this.buffer, cellBytes, figures);
    this.#vcpus = vcpus;
  }

  /** Changes when a machine was adopted: a thread then discards its state of the guest. */
  get generation(): number {
    return Atomics.load(this.#cells, GENERATION);
  }

  /** Origin of the guest of this generation. */
  get origin(): GuestOrigin {
    return ORIGINS[Atomics.load(this.#cells, ORIGIN)] ?? 'boot';
  }

  nextGeneration(origin: GuestOrigin): void {
    Atomics.store(this.#cells, ORIGIN, ORIGINS.indexOf(origin));
    Atomics.store(this.#cells, DISK_CHECKED, 0);
    Atomics.add(this.#cells, GENERATION, 1);
  }

  /** Changes with the workload. */
  get workloadVersion(): number {
    return Atomics.load(this.#cells, WORKLOAD_VERSION);
  }

  nextWorkloadVersion(): void {
    Atomics.add(this.#cells, WORKLOAD_VERSION, 1);
  }

  /** True while the vCPU counts as running, so that the main thread can stop counting it if its thread dies. */
  isInside(vcpu: number): boolean {
    return Atomics.load(this.#cells, INSIDE + vcpu) === 1;
  }

  setInside(vcpu: number, isInside: boolean): void {
    Atomics.store(this.#cells, INSIDE + vcpu, isInside ? 1 : 0);
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
      isChecked: Atomics.load(this.#cells, DISK_CHECKED) === 1,
    };
  }

  set disk({ writes, checks, isChecked }: DiskFigures) {
    const at = this.#vcpus * FIGURES_PER_VCPU + 1;
    Atomics.store(this.#figures, at, BigInt(writes));
    Atomics.store(this.#figures, at + 1, BigInt(checks));
    Atomics.store(this.#cells, DISK_CHECKED, isChecked ? 1 : 0);
  }

  #sum(figure: number): number {
    let sum = 0;
    for (let vcpu = 0; vcpu < this.#vcpus; vcpu += 1) {
      sum += Number(Atomics.load(this.#figures, vcpu * FIGURES_PER_VCPU + figure));
    }
    return sum;
  }
}
