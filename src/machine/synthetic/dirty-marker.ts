import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { DirtyTrace } from './dirty-trace.ts';
import { Pacer } from './pacer.ts';

/** A ring that does not fill is taken after this long, so that its pages count again. */
const REAP_MS = 1000;
const PAGES_PER_MIB = 2 ** 20 / PAGE_BYTES;

export type DirtyMarkerOptions = {
  readonly trace: DirtyTrace;
  readonly vcpu: number;
  /** Null: this machine has no rings, and a page counts once until the trace starts anew. */
  readonly ringEntries: number | null;
};

/**
 * What one vCPU adds to the trace. With a ring it is KVM's scheme: a page that becomes dirty takes an entry; when
 * the ring is full, or a second old, all its pages are clean again.
 */
export class DirtyMarker {
  readonly #trace: DirtyTrace;
  readonly #words: Int32Array;
  readonly #vcpu: number;
  readonly #ring: Uint32Array | null;
  readonly #pacer = new Pacer();
  #epoch = 0;
  #filled = 0;
  #reapedMs = 0;
  #isLimited = false;
  /** True from a slice that its limit ended until the next one. */
  #isHeld = false;

  constructor({ trace, vcpu, ringEntries }: DirtyMarkerOptions) {
    this.#trace = trace;
    this.#words = trace.epochWord;
    this.#vcpu = vcpu;
    this.#ring = ringEntries === null ? null : new Uint32Array(ringEntries);
  }

  /** A plain read of a shared word, for what is done a million times a second: a page late is early enough. */
  get isWanted(): boolean {
    return this.#words[0] !== 0;
  }

  /** Called after the page was written. */
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

  /** Lets time pass; called before each slice. `workedMs`: running time since the last. */
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

  /** True while its limit lets the vCPU make no page dirty. */
  get isAtLimit(): boolean {
    return this.#isLimited && this.#pacer.untilDueMs > 0;
  }

  /** The vCPU has pages to write, and its limit lets it write none. */
  holdBack(): void {
    this.#isHeld = true;
  }

  /** Milliseconds until its limit lets it make a page dirty. */
  get untilDueMs(): number {
    return this.#isLimited ? this.#pacer.untilDueMs : 0;
  }

  /** What is left from an earlier start means nothing any more. */
  #begin(epoch: number): void {
    this.#epoch = epoch;
    this.#filled = 0;
  }

  #reap(): void {
    for (let index = 0; index < this.#filled; index += 1) this.#trace.clean(this.#ring?.[index] ?? 0);
    this.#filled = 0;
  }
}
