import type { Kernels } from '../../engine/kernels/kernels.ts';
import { DIRTY_LOG_ADDRESS } from '../../engine/memory/layout.ts';
import type { DirtyMarker } from './dirty-trace.ts';
import type { GuestMap } from './guest-map.ts';

/**
 * A vCPU calls the gate around every access to a page of guest RAM. The gate decides what happens before a read or a
 * write, and after a write. Calls are synchronous: a gate that has to wait blocks the thread of the vCPU.
 *
 * The interface has room for these policies:
 *
 * - dirty log: marks the page after a write (DirtyLogGate);
 * - write protection: copies the old content before the first write, for a snapshot of a running guest;
 * - missing pages: requests a page before the first access and waits for it, for postcopy.
 */
export interface PageGate {
  /** Called before the vCPU reads the page. */
  beforeRead(page: number): void;
  /** Called before the vCPU writes the page, or a part of it. */
  beforeWrite(page: number): void;
  /** Called after the vCPU has written the page. */
  afterWrite(page: number): void;
}

export type DirtyLogGateOptions = {
  /** Kernels of every segment. */
  readonly kernels: readonly Kernels[];
  readonly map: GuestMap;
  readonly marker: DirtyMarker;
};

/** The gate of a guest whose RAM is complete and not write-protected: it only marks written pages as dirty. */
export class DirtyLogGate implements PageGate {
  readonly #kernels: readonly Kernels[];
  readonly #map: GuestMap;
  readonly #marker: DirtyMarker;

  constructor({ kernels, map, marker }: DirtyLogGateOptions) {
    this.#kernels = kernels;
    this.#map = map;
    this.#marker = marker;
  }

  beforeRead(): void {}

  beforeWrite(): void {}

  /** The order matters: a thread that takes the dirty bit reads the page after the write. */
  afterWrite(page: number): void {
    this.#kernels[this.#map.segmentOf(page)]!.guestMarkDirty(DIRTY_LOG_ADDRESS, this.#map.dirtyBitOf(page));
    if (this.#marker.isWanted) this.#marker.mark(page);
  }
}
