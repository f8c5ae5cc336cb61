import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import { Pacer } from './guest-workload.ts';

/*
 * The pages that vCPUs make dirty, for measurements and limits. It is separate from the dirty log of guest memory,
 * because only migrations may clear bits there. While the trace is off, it costs a vCPU one read of a cell per write.
 *
 * | cells            | content |
 * |------------------|------|
 * | EPOCH            | 0: off; otherwise a number that changes with each start. Main thread |
 * | per vCPU         | its limit in MiB/s, 0: none. Main thread |
 * | per vCPU         | pages that it made dirty, modulo 2^32. The vCPU |
 * | per vCPU         | microseconds for which its limit let it write nothing, modulo 2^32. The vCPU |
 * | a bit per page   | set by the vCPU that makes it dirty; with a ring the vCPU clears it once its ring was taken |
 */
const EPOCH = 0;
const FIXED_CELLS = 1;
const EPOCH_MAX = 2 ** 31 - 1;
const LIMIT_MIB_MAX = 2 ** 31 - 1;

export class DirtyTrace {
  readonly buffer: SharedArrayBuffer;
  readonly vcpus: number;
  readonly pages: number;
  readonly #cells: Int32Array;
  readonly #bits: Int32Array;
  /** Epoch of the last start by this object, which belongs to the main thread. */
  #lastEpoch = 0;

  constructor(vcpus: number, pages: number, buffer?: SharedArrayBuffer) {
    const cells = FIXED_CELLS + 3 * vcpus;
    const bitCells = Math.ceil(pages / 32);
    this.vcpus = vcpus;
    this.pages = pages;
    this.buffer = buffer ?? new SharedArrayBuffer((cells + bitCells) * 4);
    this.#cells = new Int32Array(this.buffer, 0, cells);
    this.#bits = new Int32Array(this.buffer, cells * 4, bitCells);
  }

  /** The cell of the epoch, for plain reads without an atomic operation. */
  get epochCell(): Int32Array {
    return this.#cells.subarray(EPOCH, EPOCH + 1);
  }

  /** 0 while the trace is off. */
  get epoch(): number {
    return Atomics.load(this.#cells, EPOCH);
  }

  /**
   * Marks all pages as clean, and starts to count dirty ones. The epoch is stored first: no ring would clear a bit that
   * a vCPU sets in the old epoch.
   */
  start(): void {
    this.#lastEpoch = (this.#lastEpoch % EPOCH_MAX) + 1;
    Atomics.store(this.#cells, EPOCH, this.#lastEpoch);
    this.#bits.fill(0);
  }

  stop(): void {
    Atomics.store(this.#cells, EPOCH, 0);
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
    return Atomics.load(this.#cells, FIXED_CELLS + vcpu);
  }

  setLimit(vcpu: number, mibPerSecond: number): void {
    Atomics.store(this.#cells, FIXED_CELLS + vcpu, Math.min(mibPerSecond, LIMIT_MIB_MAX));
  }

  count(vcpu: number): void {
    Atomics.add(this.#cells, FIXED_CELLS + this.vcpus + vcpu, 1);
  }

  /** Counts of all vCPUs modulo 2^32; only differences are meaningful. */
  counts(): Uint32Array {
    return this.#figures(FIXED_CELLS + this.vcpus);
  }

  addHeld(vcpu: number, microseconds: number): void {
    Atomics.add(this.#cells, FIXED_CELLS + 2 * this.vcpus + vcpu, microseconds);
  }

  /** Microseconds by vCPU, modulo 2^32; only differences are meaningful. */
  held(): Uint32Array {
    return this.#figures(FIXED_CELLS + 2 * this.vcpus);
  }

  #figures(first: number): Uint32Array {
    return Uint32Array.from({ length: this.vcpus }, (_, vcpu) => Atomics.load(this.#cells, first + vcpu));
  }
}

/** Pages counted since `before`, by vCPU. */
export function countedSince(trace: DirtyTrace, before: Uint32Array): readonly number[] {
  return grownSince(trace.counts(), before);
}

/** Increase of figures modulo 2^32, by vCPU. */
export function grownSince(figures: Uint32Array, before: Uint32Array): readonly number[] {
  return [...figures].map((now, vcpu) => (now - (before[vcpu] ?? 0)) >>> 0);
}

/** A ring that is not full is emptied after this time, so that its pages count again. */
const REAP_MS = 1000;
const PAGES_PER_MIB = 2 ** 20 / PAGE_BYTES;

export type DirtyMarkerOptions = {
  readonly trace: DirtyTrace;
  readonly vcpu: number;
  /** Null: this machine has no rings, and a page counts once until the next start of the trace. */
  readonly ringEntries: number | null;
};

/**
 * The part of one vCPU in the trace. With a ring it works like KVM's dirty ring: a page that becomes dirty takes an
 * entry; when the ring is full, or one second old, all its pages become clean again.
 */
export class DirtyMarker {
  readonly #trace: DirtyTrace;
  readonly #cells: Int32Array;
  readonly #vcpu: number;
  readonly #ring: Uint32Array | null;
  readonly #pacer = new Pacer();
  #epoch = 0;
  #filled = 0;
  #reapedMs = 0;
  #isLimited = false;
  /** True from the end of a slice that the limit ended to the start of the next slice. */
  #isHeld = false;

  constructor({ trace, vcpu, ringEntries }: DirtyMarkerOptions) {
    this.#trace = trace;
    this.#cells = trace.epochCell;
    this.#vcpu = vcpu;
    this.#ring = ringEntries === null ? null : new Uint32Array(ringEntries);
  }

  /** True while the trace is on. A plain read, because it runs for every write; a delay of some pages is acceptable. */
  get isWanted(): boolean {
    return this.#cells[0] !== 0;
  }

  /** Counts a page that was written. */
  mark(page: number): void {
    const { epoch } = this.#trace;
    if (epoch === 0) return;
    if (epoch !== this.#epoch) this.#begin(epoch);
    if (!this.#trace.take(page)) return;
    this.#trace.count(this.#vcpu);
    if (this.#isLimited) this.#pacer.done(1);
    if (this.#ring === null) return;
    this.#ring[this.#filled] = page;
    this.#filled += 1;
    if (this.#filled === this.#ring.length) this.#reap();
  }

  /** Called before each slice. @param workedMs running time since the last slice. */
  advance(nowMs: number, workedMs: number): void {
    if (this.#isHeld) this.#trace.addHeld(this.#vcpu, Math.round(workedMs * 1000));
    this.#isHeld = false;
    const limit = this.#trace.limitOf(this.#vcpu);
    this.#isLimited = limit > 0;
    if (this.#isLimited) {
      this.#pacer.pagesPerMs = (limit * PAGES_PER_MIB) / 1000;
      this.#pacer.advance(workedMs);
    }
    if (nowMs - this.#reapedMs < REAP_MS) return;
    this.#reapedMs = nowMs;
    if (this.#trace.epoch === this.#epoch) this.#reap();
  }

  /** True while the limit forbids further dirty pages. */
  get isAtLimit(): boolean {
    return this.#isLimited && this.#pacer.untilDueMs > 0;
  }

  /** Records that the vCPU has pages to write and its limit forbids them. */
  holdBack(): void {
    this.#isHeld = true;
  }

  /** Milliseconds until the limit permits a dirty page. */
  get untilDueMs(): number {
    return this.#isLimited ? this.#pacer.untilDueMs : 0;
  }

  /** Empties the ring for a new epoch. */
  #begin(epoch: number): void {
    this.#epoch = epoch;
    this.#filled = 0;
  }

  #reap(): void {
    for (let index = 0; index < this.#filled; index += 1) this.#trace.clean(this.#ring?.[index] ?? 0);
    this.#filled = 0;
  }
}
