/** A line that is no command, or not one with these arguments. `message` is the text of the answer's first line. */
export class LineError extends Error {
  /** What `help` should be asked for, or null. */
  readonly help: string | null;

  constructor(message: string, help: string | null = null) {
    super(message);
    this.name = 'LineError';
    this.help = help;
  }
}
