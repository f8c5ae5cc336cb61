import type { OutgoingChannel } from '../channels/channel.ts';
import type { ReversePath } from '../channels/reverse-path.ts';
import type { Staging } from '../pages/staging.ts';
import { pendingInputRead, type WaitPoint } from '../session/wait-point.ts';
import { encodeCommand } from '../stream/stream-elements.ts';
import { WINDOW_MS } from './pacing.ts';

/** Least bytes and least time between two pings: each answer costs the target a message. */
const PING_BYTES_MIN = 64 * 1024;
const PING_MS_MIN = 20;
/** Interval at which `settled` asks the system for the acknowledged bytes. */
const POLL_MS = 5;

/**
 * Measures how much of the stream has arrived. With a return path the target answers a ping once it has processed
 * everything before it. Without one, and with a socket, the operating system knows the bytes that the peer's system has
 * acknowledged. For commands and files nothing is known.
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
  /** Time at which the first byte behind the newest mark was sent; null: there is none. */
  #unmarkedSinceMs: number | null = null;
  /** Bytes that the target's system has taken, with or without pings; null: nothing is known. */
  readonly #taken: () => number | null;
  readonly #stallMs: number;
  /** Since when a ping that has reached the target's system is unanswered; null: there is none. */
  #owedSinceMs: number | null = null;
  /** True if the target did not answer its first ping in time: `settled` does not wait for it again. */
  #isGivenUp = false;

  constructor(options: {
    readonly channel: OutgoingChannel;
    readonly staging: Staging;
    readonly waitPoint: WaitPoint;
    readonly reverse: ReversePath | null;
    /** Longest time without an answer to a ping, for a target that has answered one before; milliseconds. */
    readonly stallMs: number;
  }) {
    const { channel, reverse } = options;
    this.#staging = options.staging;
    this.#waitPoint = options.waitPoint;
    this.#hasPings = reverse !== null;
    this.#taken = () => channel.acknowledgedBytes?.() ?? null;
    this.#gauge = reverse === null && channel.acknowledgedBytes ? this.#taken : null;
    this.#stallMs = options.stallMs;
    // The count begins with the first request.
    this.#taken();
    if (reverse !== null) reverse.onPong = (value) => this.#answered(value);
    this.poll();
  }

  /** Bytes that were sent and are not known to have arrived; 0 while nothing is known. */
  get outstandingBytes(): number {
    return this.delivery.outstanding(this.#staging.sentBytes);
  }

  /** Called before bytes are put into the stream. */
  sending(): void {
    this.#unmarkedSinceMs ??= performance.now();
  }

  /** Sets a mark, with a ping in the stream if there is a return path. Allowed only between two elements. */
  async mark(): Promise<void> {
    const now = performance.now();
    const isDue = this.#staging.sentBytes - this.#markedBytes >= PING_BYTES_MIN && now - this.#markedMs >= PING_MS_MIN;
    if (isDue && this.delivery.canMark) await this.#mark(now);
    this.poll();
  }

  /** Asks the system for acknowledged bytes, or checks how long the answer to a ping takes. */
  poll(): void {
    this.#judgeAnswer();
    const acknowledged = this.#gauge?.() ?? null;
    if (acknowledged === null) return;
    this.delivery.acknowledged(acknowledged, performance.now());
    this.#waitPoint.notify();
  }

  /**
   * Waits until everything that was sent has arrived, at most `milliseconds`. It does not wait if nothing can be known,
   * and only once for a target that answers no ping at all.
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
   * Fails the migration if the target has answered a ping before, has received the next one, and does not answer it: the
   * source would wait for a switchover without end. A ping that has not arrived, on a slow link, is not counted.
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
    // An answer that arrived while this process was stopped counts.
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

  /** Sends the first ping, directly behind the command that opens the return path. */
  async first(): Promise<void> {
    if (this.#hasPings) await this.#mark(performance.now());
  }

  /** Sends pings with values that have a meaning for a target that is a vmferry. */
  async sendPings(values: readonly number[]): Promise<void> {
    for (const value of values) {
      await this.#staging.put(encodeCommand({ name: 'ping', value }));
      this.#pings.push({ value, offset: this.#staging.sentBytes });
    }
  }

  /** @returns true if the ping that is answered next has this value. */
  #answered(value: number): boolean {
    const [next] = this.#pings;
    if (next?.value !== value) return false;
    this.#pings.shift();
    this.#owedSinceMs = null;
    this.delivery.acknowledged(next.offset, performance.now());
    return true;
  }
}

/** Most marks without an acknowledgement; more would not make the measurement better. */
export const MARKS_MAX = 8;

/** A position in the stream whose arrival is measured. */
type Mark = { readonly offset: number; readonly startedMs: number };

/**
 * How much of the stream has arrived, and how fast. Bytes in the buffers of a socket have not arrived: on a link that
 * stalls, buffers hold megabytes for many seconds. Offsets are bytes of the stream; times are `performance.now()`. Before
 * the first acknowledgement nothing is known: then nothing counts as outstanding, and the bandwidth is Infinity.
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

  /** Adds a mark at `offset`. The first byte behind the mark before it was sent at `startedMs`. */
  mark(offset: number, startedMs: number): void {
    this.#marks.push({ offset, startedMs });
  }

  /** The peer has received everything before `offset`. */
  acknowledged(offset: number, nowMs: number): void {
    this.isKnown = true;
    if (offset <= this.#acknowledgedBytes) return;
    const [first] = this.#marks;
    if (first !== undefined) this.#measure(offset - this.#acknowledgedBytes, nowMs - this.#since(first));
    while (this.#marks[0] !== undefined && this.#marks[0].offset <= offset) this.#marks.shift();
    this.#acknowledgedBytes = offset;
    this.#acknowledgedMs = nowMs;
  }

  /** The part of `sentBytes` that has not arrived. */
  outstanding(sentBytes: number): number {
    return this.isKnown ? Math.max(0, sentBytes - this.#acknowledgedBytes) : 0;
  }

  /**
   * Bytes/s, at least 1: the rate of the last measured window, or less. While a mark is not acknowledged, the rate is at
   * most the bytes before the mark in the time since it was sent.
   */
  bandwidth(nowMs: number): number {
    const [first] = this.#marks;
    if (!this.isKnown || first === undefined) return this.#rate;
    const waitedMs = nowMs - this.#since(first);
    if (waitedMs < WINDOW_MS) return this.#rate;
    const bytes = this.#window.bytes + first.offset - this.#acknowledgedBytes;
    return Math.max(1, Math.min(this.#rate, (bytes * 1000) / (this.#window.ms + waitedMs)));
  }

  /** The measurement begins when the bytes of the mark were sent, or with the acknowledgement before. */
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
