/* How fast something goes, from what was seen of it lately. */

const WINDOW_MS = 3000;
/** Below this a rate is a guess. */
const SPAN_MS_MIN = 100;
const SAMPLES_MAX = 64;

type Sample = { readonly atMs: number; readonly bytes: number };

/** Bytes a second over the last three seconds. */
export class RateMeter {
  #samples: Sample[] = [];

  add(sample: Sample): void {
    const before = this.#samples.at(-1);
    // A count that fell is of another attempt.
    if (before !== undefined && sample.bytes < before.bytes) this.#samples = [];
    this.#samples.push(sample);
    // One sample older than the window stays, or else a slow job would have no rate.
    while (this.#samples.length > SAMPLES_MAX || (this.#samples[1]?.atMs ?? sample.atMs) <= sample.atMs - WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Null while too little was seen. */
  bytesPerSecond(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs - first.atMs < SPAN_MS_MIN) return null;
    return ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000;
  }
}
