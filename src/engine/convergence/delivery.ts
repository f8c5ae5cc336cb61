import { WINDOW_MS } from './pacing.ts';

/** Marks that may be on their way; more would say nothing that these do not. */
export const MARKS_MAX = 8;

/** A place in the stream up to which the peer is asked, or seen, to have taken everything. */
type Mark = { readonly offset: number; readonly startedMs: number };

/**
 * How much of the stream has arrived, and how fast. What a socket's buffers took has not arrived: on a link that stalls
 * they hold megabytes for many seconds. Offsets are bytes of the stream; times are `performance.now()`. Before the first
 * acknowledgement nothing is known: then nothing counts as outstanding, and the bandwidth is Infinity.
 */
export class Delivery {
  readonly #marks: Mark[] = [];
  #acknowledgedBytes = 0;
  #acknowledgedMs = Number.NEGATIVE_INFINITY;
  #window = { bytes: 0, ms: 0 };
  #rate = Number.POSITIVE_INFINITY;
  isKnown = false;

  get canMark(): boolean {
    return this.#marks.length < MARKS_MAX;
  }

  /** `offset` is to be acknowledged; the first of its bytes that has not been marked before was sent at `startedMs`. */
  mark(offset: number, startedMs: number): void {
    this.#marks.push({ offset, startedMs });
  }

  /** The peer has taken everything before `offset`. */
  acknowledged(offset: number, nowMs: number): void {
    this.isKnown = true;
    if (offset <= this.#acknowledgedBytes) return;
    const [first] = this.#marks;
    if (first !== undefined) this.#measure(offset - this.#acknowledgedBytes, nowMs - this.#since(first));
    while (this.#marks[0] !== undefined && this.#marks[0].offset <= offset) this.#marks.shift();
    this.#acknowledgedBytes = offset;
    this.#acknowledgedMs = nowMs;
  }

  /** Of `sentBytes`, those that have not arrived. */
  outstanding(sentBytes: number): number {
    return this.isKnown ? Math.max(0, sentBytes - this.#acknowledgedBytes) : 0;
  }

  /**
   * Bytes/s, at least 1. Of the last window that was measured, or less: while a mark is not acknowledged, the link is
   * at most as fast as what lies before the mark in the time since then.
   */
  bandwidth(nowMs: number): number {
    const [first] = this.#marks;
    if (!this.isKnown || first === undefined) return this.#rate;
    const waitedMs = nowMs - this.#since(first);
    if (waitedMs < WINDOW_MS) return this.#rate;
    const bytes = this.#window.bytes + first.offset - this.#acknowledgedBytes;
    return Math.max(1, Math.min(this.#rate, (bytes * 1000) / (this.#window.ms + waitedMs)));
  }

  /** Time before a mark's own bytes were sent says nothing about the link. */
  #since({ startedMs }: Mark): number {
    return Math.max(startedMs, this.#acknowledgedMs);
  }

  #measure(bytes: number, ms: number): void {
    this.#window.bytes += bytes;
    this.#window.ms += Math.max(0, ms);
    if (this.#window.ms < WINDOW_MS) return;
    this.#rate = Math.max(1, (this.#window.bytes * 1000) / this.#window.ms);
    this.#window = { bytes: 0, ms: 0 };
  }
}
