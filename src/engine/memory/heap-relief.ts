import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { libcFunction } from '../../native/c-library.ts';

/*
 * Memory of the main thread after a burst of work. V8 keeps what its young generation has grown to, and the pages that a
 * collection has freed; glibc keeps its own. All of it stays resident while nothing asks for so much again. So once a
 * burst is over, and nothing is going on, a full collection gives all of that back to the system.
 */

/** How often the heap is looked at. */
const LOOK_MS = 5000;
/** So much more than what it was left with makes it worth a collection, which takes about a tenth of a second. */
const GROWN_BYTES_MIN = 32 * 2 ** 20;
/** As many pieces of work between two looks are no burst any more. */
const QUIET_MAX = 20;

type Options = {
  /** Counts pieces of work, such as requests; only grows. */
  readonly work: () => number;
  /** True while a pause of this thread would do harm. */
  readonly isBusy: () => boolean;
  /** Bytes that the heap takes, and how they are given back; V8's own unless given. */
  readonly heap?: { bytes(): number; giveBack(): void };
};

export class HeapRelief {
  readonly #options: Options;
  readonly #heap: { bytes(): number; giveBack(): void };
  readonly #timer: NodeJS.Timeout;
  #workSeen = 0;
  #peakBytes = 0;
  #leftBytes: number;

  constructor(options: Options) {
    this.#options = options;
    this.#heap = options.heap ?? { bytes: () => getHeapStatistics().total_heap_size, giveBack: collectAll };
    this.#leftBytes = this.#heap.bytes();
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Gives memory back if a burst is over. */
  look(): void {
    const { work, isBusy } = this.#options;
    const done = work();
    const isQuiet = done - this.#workSeen <= QUIET_MAX;
    this.#workSeen = done;
    this.#peakBytes = Math.max(this.#peakBytes, this.#heap.bytes());
    if (!isQuiet || this.#peakBytes < this.#leftBytes + GROWN_BYTES_MIN || isBusy()) return;
    this.#heap.giveBack();
    this.#leftBytes = this.#heap.bytes();
    this.#peakBytes = 0;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

type Collect = (options: {
  readonly type: 'major';
  readonly flavor: 'last-resort';
  readonly execution: 'sync';
}) => void;

/** V8 gives back the pages that it keeps only in a collection that takes itself for the last resort. */
function collectAll(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  collect({ type: 'major', flavor: 'last-resort', execution: 'sync' });
  trimHeap();
}

let call: ((pad: number) => number) | null = null;

/**
 * Gives what is free in the C library's heap back to the system (`man 3 malloc_trim`). glibc keeps it, for each thread
 * apart: what starting the service and a migration's thread needed for a moment would stay resident for good, since
 * nothing asks for so much again. Takes some milliseconds, in which other threads may have to wait for memory.
 * @returns false where the C library has no such call.
 */
export function trimHeap(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    call ??= libcFunction('int malloc_trim(size_t pad)') as (pad: number) => number;
    call(0);
    return true;
  } catch {
    return false;
  }
}
