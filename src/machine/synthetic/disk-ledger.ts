import type { Kernels } from '../../engine/kernels/index.ts';
import { DIRTY_LOG_ADDRESS, PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { GuestFault } from './diagnosis.ts';
import type { DirtyMarker } from './dirty-marker.ts';
import { DISK_BLOCKS_MAX, type DiskRegisters } from './disk-registers.ts';
import type { GuestMap } from './guest-map.ts';

export type DiskLedgerOptions = {
  readonly memory: GuestMemory;
  /** Of the first segment. */
  readonly kernels: Kernels;
  readonly map: GuestMap;
  readonly marker: DirtyMarker;
};

/** The page of RAM that says of every block of the guest's disk which write it holds; 0: it was never written. */
export class DiskLedger {
  readonly #words: BigUint64Array;
  readonly #kernels: Kernels;
  readonly #map: GuestMap;
  readonly #marker: DirtyMarker;

  constructor({ memory, kernels, map, marker }: DiskLedgerOptions) {
    const [segment] = memory.segments;
    if (segment === undefined) throw new RangeError('guest memory has no segment');
    this.#words = new BigUint64Array(segment.buffer, map.addressOf(map.diskLedgerPage), DISK_BLOCKS_MAX);
    this.#kernels = kernels;
    this.#map = map;
    this.#marker = marker;
  }

  sequenceOf(block: number): number {
    return Number(this.#words[block]);
  }

  /** Highest sequence of the blocks from `first` on. */
  highest(first = 0): number {
    return Number(this.#words.subarray(first).reduce((most, word) => (word > most ? word : most), 0n));
  }

  /** @returns by how much the sum of all words grew. The sum itself is not taken: it would make damage elsewhere good. */
  store(block: number, sequence: number): number {
    const growth = sequence - this.sequenceOf(block);
    this.#words[block] = BigInt(sequence);
    this.#markDirty();
    return growth;
  }

  /** Replaces all of it; blocks that `sequences` does not reach were never written. @returns the sum of all words. */
  replace(sequences: readonly number[]): number {
    this.#words.fill(0n);
    sequences.forEach((sequence, block) => {
      this.#words[block] = BigInt(sequence);
    });
    this.#markDirty();
    return this.#sum();
  }

  /**
   * Holds the page against the registers, which travel by another way than RAM.
   * @throws GuestFault if it cannot be the page that belongs to them.
   */
  check({ ledgerSum }: DiskRegisters): void {
    const sum = this.#sum();
    if (sum === ledgerSum) return;
    const detail = `the words of the disk's ledger add up to ${sum}; the guest wrote ${ledgerSum}`;
    const address = this.#map.diskLedgerPage * PAGE_BYTES;
    throw new GuestFault({ kind: sum < ledgerSum ? 'stale' : 'corrupt', address, detail });
  }

  #sum(): number {
    return this.#kernels.guestLedgerSum(this.#map.addressOf(this.#map.diskLedgerPage), 1, DISK_BLOCKS_MAX);
  }

  /** The mark comes last: whoever takes it sees what was written. */
  #markDirty(): void {
    this.#kernels.guestMarkDirty(DIRTY_LOG_ADDRESS, this.#map.dirtyBitOf(this.#map.diskLedgerPage));
    this.#marker.mark(this.#map.diskLedgerPage);
  }
}
