import { giveBackMemory } from '../../engine/memory/give-back.ts';
import { createGuestMemory, isSameMemory } from '../../engine/memory/guest-memory.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';

/**
 * The guest's memory, and spare memory of the same shape that a snapshot is loaded into while the guest's own stays as
 * it is. Both are address space for as long as the machine lives, but only the one in use holds pages: the spare's are
 * given back to the system whenever it is not being loaded into.
 *
 * The spare belongs to whoever got it from `lend`, until `isSpare` memory is taken (`swap`) or given up (`discard`).
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

  /** Fresh memory of the same shape. What was lent before, and not taken, is given up. */
  lend(): GuestMemory {
    this.discard();
    this.#isLent = true;
    this.#spare ??= createGuestMemory(this.#current.blocks, this.#current.blocks[0]?.extents[0]?.bytes);
    return this.#spare;
  }

  /** Gives up what was lent; nobody may write it any more. Harmless if nothing is. */
  discard(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    this.#giveBackSpare();
  }

  /** True for memory that was lent and has not been taken or given up since; objects may be clones. */
  isLent(memory: GuestMemory): boolean {
    return this.#isLent && this.#spare !== null && isSameMemory(memory, this.#spare);
  }

  isCurrent(memory: GuestMemory): boolean {
    return isSameMemory(memory, this.#current);
  }

  /** The memory that was lent becomes the guest's; what it had before becomes the spare. */
  swap(): void {
    if (this.#spare === null || !this.#isLent) throw new Error('no memory was lent that could be taken');
    [this.#current, this.#spare] = [this.#spare, this.#current];
    this.#isLent = false;
    this.#giveBackSpare();
  }

  /** Where pages cannot be given back, all of the memory is left to the garbage collector. */
  #giveBackSpare(): void {
    if (this.#spare !== null && !giveBackMemory(this.#spare)) this.#spare = null;
  }
}
