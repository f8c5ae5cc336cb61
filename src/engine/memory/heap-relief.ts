import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { libcFunction } from '../../native/c-library.ts';

/*
 * Memory of the main thread after a burst of work. V8 keeps its grown young generation, and the pages that a collection
 * has freed; glibc keeps freed memory, too. All of it stays resident. So after a burst, while the service is idle, a full
 * collection gives this memory back to the system.
 */

/** Interval of the checks. */
const CHECK_MS = 5000;
/** Growth since the last collection that is worth another one, which takes about a tenth of a second. */
const GROWN_BYTES_MIN = 32 * 2 ** 20;
/** Most pieces of work between two checks after a burst. */
const QUIET_MAX = 20;

type Options = {
  /** Counts pieces of work, such as requests; only grows. */
  readonly work: () => number;
  /** True while this thread must not pause. */
  readonly isBusy: () => boolean;
  /** The heap; default: that of V8. `bytes` is its size, `giveBack` frees what is unused. */
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
    this.#timer = setInterval(() => this.look(), CHECK_MS).unref();
  }

  /** Gives memory back if a burst has ended. */
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

/** V8 gives back the pages that it keeps only in a collection of the kind `last-resort`. */
function collectAll(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  collect({ type: 'major', flavor: 'last-resort', execution: 'sync' });
  trimHeap();
}

let call: ((pad: number) => number) | null = null;

/**
 * Gives the free memory of the C library's heap back to the system (`man 3 malloc_trim`). glibc keeps such memory for each
 * thread: the memory for the start of the service, and of a migration's thread, would stay resident. The call takes some
 * milliseconds, in which other threads may have to wait for memory.
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
