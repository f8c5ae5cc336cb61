import type { OutgoingChannel } from '../channels/channel.ts';
import { STAGING_BYTES, type WorkArea } from '../memory/layout.ts';
import type { GuestMemory } from '../memory/machine-state.ts';
import type { WaitPoint } from '../session/wait-point.ts';

const SLOT_BYTES = 1024 * 1024;
/** Slots that the channel may have at a time. */
const SLOTS = 4;

if (SLOTS * SLOT_BYTES > STAGING_BYTES) throw new RangeError('the slots must fit the staging area');

export type StagingOptions = {
  readonly channel: OutgoingChannel;
  readonly waitPoint: WaitPoint;
  readonly memory: GuestMemory;
  /** The work area of the calling thread, in which the slots lie. */
  readonly area: WorkArea;
  /** How long the channel may accept no bytes; milliseconds. */
  readonly stallMs: number;
  /** Writes have multiples of so many bytes, except at the end of the stream; far less than a slot. */
  readonly alignBytes?: number;
};

/**
 * Assembles the stream in slots of the staging area, and writes each slot to the channel. Kernels make records, and reach
 * only one segment, so a slot lies in the segment of its pages.
 *
 * Ownership: a slot belongs to the writer from `open` to `send`, then to the channel until its callback.
 */
export class Staging {
  readonly #channel: OutgoingChannel;
  readonly #waitPoint: WaitPoint;
  readonly #memories: readonly Uint8Array<SharedArrayBuffer>[];
  /** The work area that kernels use for records of this stream. */
  readonly area: WorkArea;
  readonly #stallMs: number;
  readonly #alignBytes: number;
  readonly #busy: boolean[] = new Array<boolean>(SLOTS).fill(false);
  #slot = -1;
  #segment = 0;
  #used = 0;
  #inFlight = 0;
  /** Bytes given to the channel, and bytes in the open slot. */
  sentBytes = 0;

  constructor(options: StagingOptions) {
    this.#channel = options.channel;
    this.#waitPoint = options.waitPoint;
    this.area = options.area;
    this.#stallMs = options.stallMs;
    this.#alignBytes = options.alignBytes ?? 1;
    this.#memories = options.memory.segments.map((segment) => new Uint8Array(segment.buffer as SharedArrayBuffer));
  }

  /** Address of the next byte, in the segment of the open slot. */
  get address(): number {
    return this.area.staging + this.#slot * SLOT_BYTES + this.#used;
  }

  /** Bytes left in the open slot. */
  get room(): number {
    return this.#slot < 0 ? 0 : SLOT_BYTES - this.#used;
  }

  /** The last `bytes` of the open slot; the view is valid until the slot is sent. */
  newest(bytes: number): Uint8Array<SharedArrayBuffer> {
    const memory = this.#memories[this.#segment];
    if (memory === undefined || bytes > this.#used) throw new RangeError(`the open slot has no ${bytes} bytes`);
    return memory.subarray(this.address - bytes, this.address);
  }

  /** Opens a slot in `segment` with room for `bytes`. Waits if the channel has all slots. */
  async open(segment: number, bytes: number): Promise<void> {
    if (this.#slot >= 0 && this.#segment === segment && this.room >= bytes) return;
    const rest = this.newest(this.#used % this.#alignBytes);
    this.#sendAllBut(rest.length);
    if (this.#inFlight === SLOTS) {
      await this.#waitPoint.until(() => this.#inFlight < SLOTS, this.#stallMs, 'waiting for the peer to take data');
    }
    this.#slot = this.#busy.indexOf(false);
    this.#segment = segment;
    this.#used = rest.length;
    // The rest may lie in the same slot, which the channel has given back: a copy within one memory may overlap.
    this.#memories[segment]?.set(rest, this.address - rest.length);
  }

  /** Counts bytes that a kernel wrote at `address`. */
  advance(bytes: number): void {
    this.#used += bytes;
    this.sentBytes += bytes;
  }

  /** Appends a copy of bytes that no kernel made. */
  async put(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      await this.open(this.#segment, 1);
      const count = Math.min(bytes.length - from, this.room);
      this.#memories[this.#segment]?.set(bytes.subarray(from, from + count), this.address);
      this.advance(count);
      from += count;
    }
  }

  /** Gives the open slot to the channel. */
  send(): void {
    this.#sendAllBut(0);
  }

  #sendAllBut(restBytes: number): void {
    if (this.#slot < 0) return;
    const slot = this.#slot;
    const used = this.#used - restBytes;
    this.#slot = -1;
    this.#used = 0;
    if (used === 0) return;
    const buffer = this.#memories[this.#segment]?.buffer;
    if (buffer === undefined) throw new RangeError('there is no such segment');
    this.#busy[slot] = true;
    this.#inFlight += 1;
    const bytes = Buffer.from(buffer, this.area.staging + slot * SLOT_BYTES, used);
    this.#channel.write(bytes, () => {
      this.#busy[slot] = false;
      this.#inFlight -= 1;
      this.#waitPoint.notify();
    });
  }

  /** Sends the open slot and waits until the channel has sent all slots. */
  async drain(): Promise<void> {
    this.send();
    await this.#waitPoint.until(() => this.#inFlight === 0, this.#stallMs, 'waiting for the peer to take data');
  }
}
