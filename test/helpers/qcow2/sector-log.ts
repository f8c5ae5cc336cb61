// The possible contents of a disk during concurrent requests. A sector contains the data of some write. No other
// write may have started after the end of that write and ended before the read started.

import { SECTOR_BYTES } from './stamps.ts';

type Stay = {
  readonly stamp: number;
  readonly began: number;
  ended: number;
  /** The moment from which the write, or a later one, survives a power loss. */
  stable: number;
};

/** Counts moments. */
export type Clock = { now: number };

/** A request that changes sectors, from the call until it has resolved. */
export type Change = { readonly end: () => void };

export class SectorLog {
  readonly #stays: Stay[][];
  readonly #clock: Clock;

  constructor(sectors: number, clock: Clock = { now: 0 }) {
    this.#clock = clock;
    this.#stays = Array.from({ length: sectors }, () => [{ stamp: 0, began: -1, ended: 0, stable: 0 }]);
  }

  /** The moment; no two are the same. */
  tick(): number {
    this.#clock.now += 1;
    return this.#clock.now;
  }

  /** Begins a change of these sectors to a stamp each. */
  begin(first: number, stamps: readonly number[]): Change {
    const began = this.tick();
    const stays = stamps.map((stamp, index) => {
      const stay: Stay = { stamp, began, ended: Number.POSITIVE_INFINITY, stable: Number.POSITIVE_INFINITY };
      this.#stays[first + index]!.push(stay);
      return stay;
    });
    return {
      end: () => {
        const now = this.tick();
        for (const stay of stays) stay.ended = now;
      },
    };
  }

  /** The possible results of a read with this start and end. */
  allowed(sector: number, began: number, ended: number): Set<number> {
    const before = this.#stays[sector]!.filter((stay) => stay.began < ended);
    const isGone = (stay: Stay) => before.some((other) => other.began > stay.ended && other.ended < began);
    return new Set(before.filter((stay) => !isGone(stay)).map(({ stamp }) => stamp));
  }

  /** What may be seen of a sector by who waits for all that began before this moment, and for nothing else. */
  allowedAt(sector: number, moment: number): Set<number> {
    const before = this.#stays[sector]!.filter((stay) => stay.began < moment);
    const isGone = (stay: Stay) => before.some((other) => other.began > stay.ended);
    return new Set(before.filter((stay) => !isGone(stay)).map(({ stamp }) => stamp));
  }

  /** What had ended at the one moment is on stable storage since the other. */
  stable(ended: number, since: number): void {
    for (const stays of this.#stays) {
      for (const stay of stays) if (stay.ended < ended && stay.stable > since) stay.stable = since;
    }
  }

  /** The possible contents of a sector after a power loss at this moment. */
  allowedAfterLoss(sector: number, moment: number): Set<number> {
    const before = this.#stays[sector]!.filter((stay) => stay.began < moment);
    const isGone = (stay: Stay) => before.some((other) => other.began > stay.ended && other.stable < moment);
    return new Set(before.filter((stay) => !isGone(stay)).map(({ stamp }) => stamp));
  }

  get sectors(): number {
    return this.#stays.length;
  }
}

/** A sentence for each of the first sectors with wrong content, or null. */
export function sectorFault(
  bytes: Buffer,
  first: number,
  of: { stampOf: (sector: number, bytes: Buffer) => number | null; allowed: (sector: number) => Set<number> },
): string | null {
  for (let index = 0; index * SECTOR_BYTES < bytes.length; index += 1) {
    const sector = first + index;
    const stamp = of.stampOf(sector, bytes.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES));
    const allowed = of.allowed(sector);
    if (stamp === null)
      return `sector ${sector} is torn: ${bytes.toString('hex', index * SECTOR_BYTES, index * 512 + 16)}`;
    if (!allowed.has(stamp)) return `sector ${sector} holds write ${stamp}; allowed: ${[...allowed].join(', ')}`;
  }
  return null;
}
