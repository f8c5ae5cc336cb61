/** What the screen writes to: a terminal, or a pipe or file. */
export type Output = {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
};

const ERASE_LINE = '\r\u001b[2K';
const COLUMNS_DEFAULT = 80;
/** Between two status lines where none can be rewritten; milliseconds. */
const PLAIN_INTERVAL_MS = 1000;

/** Lines that stay, and below them one that is rewritten in place; where that cannot be, it is written now and then. */
export class Screen {
  readonly #output: Output;
  readonly #now: () => number;
  /** On a terminal: the cursor stands behind a status line. */
  #hasStatus = false;
  /** Elsewhere: the status that has not been written yet. */
  #pending: string | null = null;
  #writtenMs = Number.NEGATIVE_INFINITY;

  /** @param now a monotonic clock in milliseconds. */
  constructor(output: Output, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  /** Takes the place of the status line, which appears again below it with the next status. */
  line(text: string): void {
    this.#output.write(`${this.#hasStatus ? ERASE_LINE : ''}${text}\n`);
    this.#hasStatus = false;
    this.#pending = null;
    this.#writtenMs = Number.NEGATIVE_INFINITY;
  }

  /** Replaces the status line; one longer than the terminal is wide would not be replaceable, so it is cut. */
  status(text: string): void {
    if (this.#output.isTTY === true) {
      const columns = this.#output.columns ?? COLUMNS_DEFAULT;
      const cut = text.length < columns ? text : `${text.slice(0, columns - 2)}…`;
      this.#output.write(`${ERASE_LINE}${cut}`);
      this.#hasStatus = true;
      return;
    }
    this.#pending = text;
    if (this.#now() - this.#writtenMs >= PLAIN_INTERVAL_MS) this.#writePending();
  }

  /** Leaves the newest status standing. */
  keepStatus(): void {
    if (this.#hasStatus) this.#output.write('\n');
    this.#hasStatus = false;
    this.#writePending();
  }

  #writePending(): void {
    if (this.#pending === null) return;
    this.#output.write(`${this.#pending}\n`);
    this.#pending = null;
    this.#writtenMs = this.#now();
  }
}
