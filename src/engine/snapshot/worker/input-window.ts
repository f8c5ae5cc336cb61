import { STAGING_ADDRESS, STAGING_BYTES } from '../../memory/layout.ts';
import type { StreamInput } from '../../pages/input-buffer.ts';
import { StreamError } from '../../stream/byte-reader.ts';

/** In front of the slots, for what is left of the last one when the first comes again. */
const MARGIN_BYTES = 2 ** 20;
/** Bytes of a slot: what one read brings. */
export const SLOT_BYTES = 768 * 1024;
export const SLOTS = 4;

if (MARGIN_BYTES + SLOTS * SLOT_BYTES > STAGING_BYTES) throw new RangeError('the slots must fit the staging area');

/**
 * The waiting bytes of a stream that is read ahead, slot by slot, straight into the staging area of a segment, where
 * kernels reach them: nothing is copied but what is left of the last slot, and what was read for another segment.
 *
 * Ownership: a slot is the reader's from when it begins to read into it until `filled`; then it is this object's until
 * the slot behind it has been filled and its bytes were taken.
 */
export class InputWindow implements StreamInput {
  #area: Uint8Array<SharedArrayBuffer> = new Uint8Array(new SharedArrayBuffer(MARGIN_BYTES + SLOTS * SLOT_BYTES));
  #base = 0;
  #start = 0;
  #end = 0;
  takenBytes = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  get address(): number {
    return this.#base + this.#start;
  }

  view(): Uint8Array<SharedArrayBuffer> {
    return this.#area.subarray(this.#start, this.#end);
  }

  peekWord(): { readonly high: number; readonly low: number } | null {
    if (this.length < 8) return null;
    const view = new DataView(this.#area.buffer, this.#area.byteOffset + this.#start, 8);
    return { high: view.getUint32(0), low: view.getUint32(4) };
  }

  take(bytes: number): void {
    this.#start += bytes;
    this.takenBytes += bytes;
  }

  /** Where the read with this number, counted from 0, is to go. */
  slot(read: number): Uint8Array<SharedArrayBuffer> {
    const from = slotStart(read);
    return this.#area.subarray(from, from + SLOT_BYTES);
  }

  /** The read with this number brought `bytes`, a part of the slot it was given. Reads are told in order. */
  filled(read: number, bytes: Uint8Array): void {
    const at = slotStart(read);
    const waiting = this.length;
    if (waiting >= MARGIN_BYTES) throw new StreamError('element_unexpected', 'an element is longer than any may be');
    if (this.#end !== at && waiting > 0) this.#area.copyWithin(at - waiting, this.#start, this.#end);
    if (bytes.buffer !== this.#area.buffer) this.#area.set(bytes, at);
    this.#start = at - waiting;
    this.#end = at + bytes.length;
  }

  moveTo(segment: WebAssembly.Memory): void {
    const area = new Uint8Array(segment.buffer as SharedArrayBuffer, STAGING_ADDRESS, STAGING_BYTES);
    area.set(this.view(), this.#start);
    this.#area = area;
    this.#base = STAGING_ADDRESS;
  }
}

function slotStart(read: number): number {
  return MARGIN_BYTES + (read % SLOTS) * SLOT_BYTES;
}
