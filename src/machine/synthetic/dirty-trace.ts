/*
 * Which pages the vCPUs dirty, for measurements and limits. Migrations have the dirty log of guest memory to themselves:
 * nobody else may take a bit out of it. This trace is beside it, and costs a vCPU one look at a word while it is off.
 *
 * | words            | what |
 * |------------------|------|
 * | EPOCH            | 0: off; otherwise a number that changes with each start. Main thread |
 * | per vCPU         | its limit in MiB/s, 0: none. Main thread |
 * | per vCPU         | pages that it made dirty, modulo 2^32. The vCPU |
 * | per vCPU         | microseconds for which its limit let it write nothing, modulo 2^32. The vCPU |
 * | a bit per page   | set by the vCPU that makes it dirty; with a ring the vCPU clears it once its ring was taken |
 */
const EPOCH = 0;
const FIXED_WORDS = 1;
const EPOCH_MAX = 2 ** 31 - 1;
const LIMIT_MIB_MAX = 2 ** 31 - 1;

export class DirtyTrace {
  readonly buffer: SharedArrayBuffer;
  readonly vcpus: number;
  readonly pages: number;
  readonly #words: Int32Array;
  readonly #bits: Int32Array;
  /** Of starts by this object, which is the main thread's. */
  #lastEpoch = 0;

  constructor(vcpus: number, pages: number, buffer?: SharedArrayBuffer) {
    const words = FIXED_WORDS + 3 * vcpus;
    const bitWords = Math.ceil(pages / 32);
    this.vcpus = vcpus;
    this.pages = pages;
    this.buffer = buffer ?? new SharedArrayBuffer((words + bitWords) * 4);
    this.#words = new Int32Array(this.buffer, 0, words);
    this.#bits = new Int32Array(this.buffer, words * 4, bitWords);
  }

  /** For a look at the epoch that costs next to nothing. */
  get epochWord(): Int32Array {
    return this.#words.subarray(EPOCH, EPOCH + 1);
  }

  /** 0 while nobody wants to know. */
  get epoch(): number {
    return Atomics.load(this.#words, EPOCH);
  }

  /**
   * All pages are clean, and from now on every one that is dirtied is counted. The epoch goes first: a bit that a vCPU
   * sets under the old one would stay, for no ring knows of it any more.
   */
  start(): void {
    this.#lastEpoch = (this.#lastEpoch % EPOCH_MAX) + 1;
    Atomics.store(this.#words, EPOCH, this.#lastEpoch);
    this.#bits.fill(0);
  }

  stop(): void {
    Atomics.store(this.#words, EPOCH, 0);
  }

  /** @returns true if the page was clean. */
  take(page: number): boolean {
    const bit = 1 << (page & 31);
    return (Atomics.or(this.#bits, page >>> 5, bit) & bit) === 0;
  }

  clean(page: number): void {
    Atomics.and(this.#bits, page >>> 5, ~(1 << (page & 31)));
  }

  /** MiB/s; 0: none. */
  limitOf(vcpu: number): number {
    return Atomics.load(this.#words, FIXED_WORDS + vcpu);
  }

  setLimit(vcpu: number, mibPerSecond: number): void {
    Atomics.store(this.#words, FIXED_WORDS + vcpu, Math.min(mibPerSecond, LIMIT_MIB_MAX));
  }

  count(vcpu: number): void {
    Atomics.add(this.#words, FIXED_WORDS + this.vcpus + vcpu, 1);
  }

  /** How far the counts of all vCPUs stand: only differences have a meaning. */
  counts(): Uint32Array {
    return this.#figures(FIXED_WORDS + this.vcpus);
  }

  addHeld(vcpu: number, microseconds: number): void {
    Atomics.add(this.#words, FIXED_WORDS + 2 * this.vcpus + vcpu, microseconds);
  }

  /** Microseconds; only differences have a meaning. */
  held(): Uint32Array {
    return this.#figures(FIXED_WORDS + 2 * this.vcpus);
  }

  #figures(first: number): Uint32Array {
    return Uint32Array.from({ length: this.vcpus }, (_, vcpu) => Atomics.load(this.#words, first + vcpu));
  }
}

/** Pages counted since `before`, by vCPU. */
export function countedSince(trace: DirtyTrace, before: Uint32Array): readonly number[] {
  return grownSince(trace.counts(), before);
}

/** How far figures that go round have gone, by vCPU. */
export function grownSince(figures: Uint32Array, before: Uint32Array): readonly number[] {
  return [...figures].map((now, vcpu) => (now - (before[vcpu] ?? 0)) >>> 0);
}
