import type { SnapshotReader } from '../../../block/image.ts';
import { STAGING_BYTES, WORK_AREA } from '../../memory/layout.ts';
import type { StreamInput } from '../../pages/input-buffer.ts';
import { StreamError } from '../../stream/bytes.ts';
import type { TaskControl } from '../task-control.ts';
import { PIECE_BYTES_MAX } from './stream-pieces.ts';

/** Space in front of the slots, for the rest of the last slot when the first one is filled again. */
const MARGIN_BYTES = 2 ** 20;
/** Bytes of a slot, which one read fills. */
export const SLOT_BYTES = 768 * 1024;
export const SLOTS = 4;

if (MARGIN_BYTES + SLOTS * SLOT_BYTES > STAGING_BYTES) throw new RangeError('the slots must fit the staging area');

/**
 * The waiting bytes of a stream that is read ahead, slot by slot, directly into the staging area of a segment, which
 * kernels can access. Only the rest of the last slot is copied, and bytes that were read for another segment.
 *
 * Ownership: a slot belongs to the reader from the start of a read until `filled`; then to this object until the next
 * slot is filled and the slot's bytes are taken.
 */
export class InputWindow implements StreamInput {
  readonly area = WORK_AREA.block;
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

  /** Destination of a read. @param read its number, counted from 0. */
  slot(read: number): Uint8Array<SharedArrayBuffer> {
    const from = slotStart(read);
    return this.#area.subarray(from, from + SLOT_BYTES);
  }

  /** Adds the bytes of a read, which lie in its slot. Called in the order of the reads. */
  filled(read: number, bytes: Uint8Array): void {
    const at = slotStart(read);
    const waiting = this.length;
    if (waiting >= MARGIN_BYTES) throw new StreamError('element_unexpected', 'an element is longer than the limit');
    if (this.#end !== at && waiting > 0) this.#area.copyWithin(at - waiting, this.#start, this.#end);
    if (bytes.buffer !== this.#area.buffer) this.#area.set(bytes, at);
    this.#start = at - waiting;
    this.#end = at + bytes.length;
  }

  moveTo(segment: WebAssembly.Memory): void {
    const area = new Uint8Array(segment.buffer as SharedArrayBuffer, this.area.staging, STAGING_BYTES);
    area.set(this.view(), this.#start);
    this.#area = area;
    this.#base = this.area.staging;
  }
}

function slotStart(read: number): number {
  return MARGIN_BYTES + (read % SLOTS) * SLOT_BYTES;
}

if (SLOT_BYTES % PIECE_BYTES_MAX !== 0) throw new RangeError('no piece may cross from one read into the next');

/** The bytes of one read, or its error. */
export type Chunk = {
  readonly read: number;
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly error: unknown;
};

/** Destinations of reads: SLOTS buffers of SLOT_BYTES, used cyclically. */
export type ReadSlots = { slot(read: number): Uint8Array };

/** Separate buffers, for a stream that is only checked. */
export function plainSlots(): ReadSlots {
  const slots = Array.from({ length: SLOTS }, () => new Uint8Array(SLOT_BYTES));
  return { slot: (read) => slots[read % SLOTS] ?? new Uint8Array() };
}

/**
 * Reads the VM state in order, some reads ahead. The bytes of a chunk are valid until the chunk after the next one is
 * requested, because an element of the stream may lie in two chunks. Reports the bytes read as progress.
 */
export async function* readAhead(
  reader: SnapshotReader,
  into: { readonly streamBytes: number; readonly slots: ReadSlots },
  control: TaskControl,
): AsyncGenerator<Chunk> {
  const { streamBytes, slots } = into;
  const reads: (Promise<Chunk> | null)[] = [];
  const begin = (number: number): void => {
    const position = number * SLOT_BYTES;
    if (position >= streamBytes) return;
    const bytes = slots.slot(number).subarray(0, Math.min(SLOT_BYTES, streamBytes - position));
    reads[number % SLOTS] = read(reader, { read: number, position, bytes, error: null });
  };
  try {
    for (let number = 0; number < SLOTS; number += 1) begin(number);
    for (let number = 0; number * SLOT_BYTES < streamBytes; number += 1) {
      await control.breathe();
      const chunk = await reads[number % SLOTS];
      if (chunk === null || chunk === undefined) throw new RangeError(`read ${number} was never begun`);
      yield chunk;
      control.addCurrent(chunk.bytes.length);
      if (number > 0) begin(number - 1 + SLOTS);
    }
  } finally {
    // Reads must end before the reader and their memory are released.
    await Promise.all(reads);
  }
}

async function read(reader: SnapshotReader, chunk: Chunk): Promise<Chunk> {
  try {
    await reader.readVmState(chunk.position, chunk.bytes);
    return chunk;
  } catch (error) {
    return { ...chunk, error };
  }
}
