import { createGuestMemory, isSameMemory } from '../../engine/memory/guest-memory.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { giveBackMemory } from '../../engine/memory/memory-advice.ts';

/**
 * The guest's memory, and spare memory of the same shape. A snapshot is loaded into the spare memory while the guest's
 * own memory is unchanged. Both keep their address space while the machine exists; the pages of the spare memory are
 * given back to the system when no load uses it.
 *
 * The caller of `lend` owns the spare memory until `swap` or `discard`.
 */
export class MemoryPair {
  #current: GuestMemory;
  #spare: GuestMemory | null = null;
  #isLent = false;

  constructor(current: GuestMemory) {
    this.#current = current;
  }

  get current(): GuestMemory {
    return this.#current;
  }

  /** Lends empty memory of the same shape. Memory that was lent before is discarded. */
  lend(): GuestMemory {
    this.discard();
    this.#isLent = true;
    this.#spare ??= createGuestMemory(this.#current.blocks, this.#current.blocks[0]?.extents[0]?.bytes);
    return this.#spare;
  }

  /** Discards lent memory; it may no longer be written. Does nothing if no memory is lent. */
  discard(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    this.#giveBackSpare();
  }

  /** True for the memory that is lent; the object may be a clone. */
  isLent(memory: GuestMemory): boolean {
    return this.#isLent && this.#spare !== null && isSameMemory(memory, this.#spare);
  }

  isCurrent(memory: GuestMemory): boolean {
    return isSameMemory(memory, this.#current);
  }

  /** Makes the lent memory the guest's; the guest's previous memory becomes the spare. */
  swap(): void {
    if (this.#spare === null || !this.#isLent) throw new Error('no memory was lent that could be taken');
    [this.#current, this.#spare] = [this.#spare, this.#current];
    this.#isLent = false;
    this.#giveBackSpare();
  }

  /** If the system cannot take single pages back, the whole memory is left to the garbage collector. */
  #giveBackSpare(): void {
    if (this.#spare !== null && !giveBackMemory(this.#spare)) this.#spare = null;
  }
}
