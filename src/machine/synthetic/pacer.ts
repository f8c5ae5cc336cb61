/** How long work may be owed: what was missed before, in a stall or a hold, is not made up for in a burst. */
const DEBT_MS_MAX = 20;

/** Hands out pages to be done so that their number follows a rate, without a burst after a stall. */
export class Pacer {
  #pagesPerMs = 0;
  #owed = 0;
  readonly #debtMsMax: number;

  constructor(debtMsMax = DEBT_MS_MAX) {
    this.#debtMsMax = debtMsMax;
  }

  set pagesPerMs(rate: number) {
    this.#pagesPerMs = rate;
  }

  /** Lets time pass. @returns whole pages now due. */
  advance(elapsedMs: number): number {
    const most = Math.max(2, this.#pagesPerMs * this.#debtMsMax);
    this.#owed = Math.min(most, this.#owed + elapsedMs * this.#pagesPerMs);
    return Math.floor(this.#owed);
  }

  done(pages: number): void {
    this.#owed -= pages;
  }

  /** Milliseconds until a page is due; Infinity at rate 0. */
  get untilDueMs(): number {
    if (this.#pagesPerMs === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, (1 - this.#owed) / this.#pagesPerMs);
  }
}
