/** A disk that gives less is slow: reading its files again is then worth the memory that caching them takes. */
const BYTES_PER_MS_MIN = 500_000;
/** So much is read before the rate is judged. */
const BYTES_MIN = 32 * 2 ** 20;

/** How fast a file comes from its disk, over the time in which any read is under way. */
export class ReadRate {
  readonly #now: () => number;
  #underWay = 0;
  #sinceMs = 0;
  #busyMs = 0;
  #bytes = 0;

  /** @param now milliseconds of a monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** False until enough was read to tell. */
  get isSlow(): boolean {
    return this.#bytes >= BYTES_MIN && this.#bytes < this.#busyMs * BYTES_PER_MS_MIN;
  }

  /** Counts a read, whose result is the number of bytes that it brought. */
  async measure(read: () => Promise<number | null>): Promise<number | null> {
    if (this.#underWay === 0) this.#sinceMs = this.#now();
    this.#underWay += 1;
    try {
      const count = await read();
      this.#bytes += count ?? 0;
      return count;
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#busyMs += this.#now() - this.#sinceMs;
    }
  }
}
