/** The output stream of the screen: a terminal, a pipe or a file. */
export type Output = {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
};

const ERASE_LINE = '\r\u001b[2K';
const COLUMNS_DEFAULT = 80;
/** Milliseconds between two status lines on an output that is not a terminal. */
const PLAIN_INTERVAL_MS = 1000;

/** Writes permanent lines, and below them a status line. A terminal's status line is rewritten in place; elsewhere it is repeated. */
export class Screen {
  readonly #output: Output;
  readonly #now: () => number;
  /** True if the last line of the terminal is the status line. */
  #hasStatus = false;
  /** The last status that was not written yet, if the output is not a terminal. */
  #pending: string | null = null;
  #writtenMs = Number.NEGATIVE_INFINITY;

  /** @param now a monotonic clock in milliseconds. */
  constructor(output: Output, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  /** Writes a permanent line in place of the status line. The next status appears below it. */
  line(text: string): void {
    this.#output.write(`${this.#hasStatus ? ERASE_LINE : ''}${text}\n`);
    this.#hasStatus = false;
    this.#pending = null;
    this.#writtenMs = Number.NEGATIVE_INFINITY;
  }

  /** Replaces the status line. A line wider than the terminal is cut, because it could not be rewritten. */
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

  /** Makes the present status line permanent. */
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
