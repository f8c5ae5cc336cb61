import type { OutgoingChannel } from '../channels/channel.ts';
import type { ReversePath } from '../channels/reverse-path.ts';
import type { Staging } from '../pages/staging.ts';
import { pendingInputRead, type WaitPoint } from '../session/wait-point.ts';
import { encodeCommand } from '../stream/stream-elements.ts';
import { WINDOW_MS } from './pacing.ts';

/** A ping goes out after so many bytes and so long, at least: an answer costs the target a message. */
const PING_BYTES_MIN = 64 * 1024;
const PING_MS_MIN = 20;
/** How often the system is asked what was acknowledged while `settled` waits. */
const POLL_MS = 5;

/**
 * Learns how much of the stream has arrived. With a return path the target itself tells: it answers a ping once it has
 * worked through everything before it, on whatever way that came. Without one the system tells what the peer's system
 * has acknowledged, where the channel is a socket; nobody tells what commands and files do with the stream.
 */
export class DeliveryWatch {
  readonly delivery = new Delivery();
  readonly #staging: Staging;
  readonly #waitPoint: WaitPoint;
  readonly #hasPings: boolean;
  readonly #gauge: (() => number | null) | null;
  readonly #pings: { readonly value: number; readonly offset: number }[] = [];
  #lastPing = 0;
  #markedBytes = 0;
  #markedMs = Number.NEGATIVE_INFINITY;
  /** When the first byte behind the newest mark was sent; null: there is none. */
  #unmarkedSinceMs: number | null = null;
  /** Tells how much the target's system has taken, also where the target itself answers; null: nothing is known. */
  readonly #taken: () => number | null;
  readonly #stallMs: number;
  /** Since when a ping that has reached the target's system waits for its answer; null: none does. */
  #owedSinceMs: number | null = null;
  /** A target that did not answer its first ping in time is not waited for again. */
  #isGivenUp = false;

  constructor(options: {
    readonly channel: OutgoingChannel;
    readonly staging: Staging;
    readonly waitPoint: WaitPoint;
    readonly reverse: ReversePath | null;
    /** Longest time in which a target that has answered a ping may leave the next one without an answer. */
    readonly stallMs: number;
  }) {
    const { channel, reverse } = options;
    this.#staging = options.staging;
    this.#waitPoint = options.waitPoint;
    this.#hasPings = reverse !== null;
    this.#taken = () => channel.acknowledgedBytes?.() ?? null;
    this.#gauge = reverse === null && channel.acknowledgedBytes ? this.#taken : null;
    this.#stallMs = options.stallMs;
    // The count begins when it is first asked for.
    this.#taken();
    if (reverse !== null) reverse.onPong = (value) => this.#answered(value);
    this.poll();
  }

  /** Of the bytes that were sent, those that have not arrived, as far as is known. */
  get outstandingBytes(): number {
    return this.delivery.outstanding(this.#staging.sentBytes);
  }

  /** Bytes are being put into the stream. */
  sending(): void {
    this.#unmarkedSinceMs ??= performance.now();
  }

  /** Puts a ping into the stream, which may be between two elements only; without a return path it takes no room. */
  async mark(): Promise<void> {
    const now = performance.now();
    const isDue = this.#staging.sentBytes - this.#markedBytes >= PING_BYTES_MIN && now - this.#markedMs >= PING_MS_MIN;
    if (isDue && this.delivery.canMark) await this.#mark(now);
    this.poll();
  }

  /** Asks the system, where the target is not asked; where it is, judges how long its answer takes. */
  poll(): void {
    this.#judgeAnswer();
    const acknowledged = this.#gauge?.() ?? null;
    if (acknowledged === null) return;
    this.delivery.acknowledged(acknowledged, performance.now());
    this.#waitPoint.notify();
  }

  /**
   * Waits until everything that was sent has arrived, at most `milliseconds`. Where nothing can be known it does not
   * wait, and a target that answers no ping at all is waited for once.
   */
  async settled(milliseconds: number): Promise<void> {
    const { delivery } = this;
    if (this.#hasPings ? this.#isGivenUp : this.#gauge === null) return;
    if (delivery.canMark && this.outstandingBytes > 0) await this.#mark(performance.now());
    this.#staging.send();
    const offset = this.#markedBytes;
    const end = performance.now() + milliseconds;
    const hasArrived = () => delivery.isKnown && delivery.outstanding(offset) === 0;
    while (!(await this.#waitPoint.within(this.#hasPings ? milliseconds : POLL_MS, hasArrived))) {
      this.poll();
      if (performance.now() < end) continue;
      this.#isGivenUp = !delivery.isKnown;
      return;
    }
  }

  /**
   * Fails the migration of a target that has answered a ping before, has taken the next one, and leaves it without an
   * answer: it would never be seen to have taken enough for a switchover. While the link is slow nothing is judged.
   */
  #judgeAnswer(): void {
    const [next] = this.#pings;
    const isOwed = this.delivery.isKnown && next !== undefined && (this.#taken() ?? next.offset) >= next.offset;
    if (!isOwed) {
      this.#owedSinceMs = null;
      return;
    }
    this.#owedSinceMs ??= performance.now();
    const since = this.#owedSinceMs;
    if (performance.now() - since < this.#stallMs) return;
    // An answer that came while this process was stopped counts.
    void pendingInputRead().then(() => {
      if (this.#owedSinceMs !== since) return;
      const message = `the target has answered no ping for ${this.#stallMs} ms, though everything before it has arrived`;
      this.#waitPoint.fail({ code: 'deadline_exceeded', message });
    });
  }

  async #mark(now: number): Promise<void> {
    const since = this.#unmarkedSinceMs ?? now;
    if (this.#hasPings) {
      this.#lastPing += 1;
      const ping = { name: 'ping', value: this.#lastPing } as const;
      await this.#staging.put(encodeCommand(ping));
      this.#pings.push({ value: ping.value, offset: this.#staging.sentBytes });
    }
    this.#staging.send();
    this.delivery.mark(this.#staging.sentBytes, since);
    this.#markedBytes = this.#staging.sentBytes;
    this.#markedMs = now;
    this.#unmarkedSinceMs = null;
  }

  /** The first ping, right behind the command that opens the return path. */
  async first(): Promise<void> {
    if (this.#hasPings) await this.#mark(performance.now());
  }

  /** Puts pings with other values than its own into the stream, which say something to those who know of them. */
  async say(values: readonly number[]): Promise<void> {
    for (const value of values) {
      await this.#staging.put(encodeCommand({ name: 'ping', value }));
      this.#pings.push({ value, offset: this.#staging.sentBytes });
    }
  }

  /** @returns whether a ping with this value is to be answered next. */
  #answered(value: number): boolean {
    const [next] = this.#pings;
    if (next?.value !== value) return false;
    this.#pings.shift();
    this.#owedSinceMs = null;
    this.delivery.acknowledged(next.offset, performance.now());
    return true;
  }
}

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
