import type { SnapshotReader } from '../../../block/image.ts';
import { SLOT_BYTES, SLOTS } from './input-window.ts';
import { PIECE_BYTES_MAX } from './piece-table.ts';
import type { TaskControl } from './task-control.ts';

if (SLOT_BYTES % PIECE_BYTES_MAX !== 0) throw new RangeError('no piece may cross from one read into the next');

/** What one read brought, or why it did not. */
export type Chunk = {
  readonly read: number;
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly error: unknown;
};

/** Where reads go: SLOTS places in turns, of SLOT_BYTES each. */
export type ReadSlots = { slot(read: number): Uint8Array };

/** Slots of their own, for a stream that is only looked at. */
export function plainSlots(): ReadSlots {
  const slots = Array.from({ length: SLOTS }, () => new Uint8Array(SLOT_BYTES));
  return { slot: (read) => slots[read % SLOTS] ?? new Uint8Array() };
}

/**
 * Reads the VM state from its first byte on, in order, some reads ahead. A chunk's bytes are valid until the one after
 * the next is asked for: an element of the stream may lie across two. What is read counts as progress.
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
    // Reads that nobody waits for any more must not outlive the reader and the memory they go to.
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
