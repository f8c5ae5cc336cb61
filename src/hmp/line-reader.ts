/**
 * Reads a line of the text monitor from left to right. Words are separated by the white space of C's `isspace`, line feeds
 * included.
 */
export class LineReader {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** The next character, or the one `ahead` characters behind it; empty behind the end of the line. */
  peek(ahead = 0): string {
    return this.text.charAt(this.at + ahead);
  }

  skipSpace(): void {
    while (isSpace(this.peek())) this.at += 1;
  }

  /** The characters up to white space or the end of the line. */
  word(): string {
    const start = this.at;
    while (!this.isAtEnd && !isSpace(this.peek())) this.at += 1;
    return this.text.slice(start, this.at);
  }

  /** The rest of the line. */
  rest(): string {
    const start = this.at;
    this.at = this.text.length;
    return this.text.slice(start);
  }

  /** The name of a command: a word, or the part of it before a slash (`x/4x` is `x`). */
  commandName(): string {
    this.skipSpace();
    const start = this.at;
    while (!this.isAtEnd && !isSpace(this.peek()) && this.peek() !== '/') this.at += 1;
    return this.text.slice(start, this.at);
  }

  /**
   * A word, or a text in double quotes with the escapes `\n`, `\r`, `\\`, `\'` and `\"`. A quote inside a word is an ordinary
   * character, and so is every single quote.
   * @throws LineError
   */
  string(): string {
    if (this.peek() !== '"') return this.word();
    this.at += 1;
    const parts: string[] = [];
    for (;;) {
      if (this.isAtEnd) throw new LineError('The line ends within a string: the closing " is missing');
      const character = this.peek();
      this.at += 1;
      if (character === '"') return parts.join('');
      parts.push(character === '\\' ? this.#escaped() : character);
    }
  }

  #escaped(): string {
    if (this.isAtEnd) throw new LineError('The line ends within a string: the closing " is missing');
    const character = this.peek();
    this.at += 1;
    const meant = ESCAPES.get(character);
    if (meant === undefined) throw new LineError(`\\${quoted(character).slice(1, -1)} is not an escape in a string`);
    return meant;
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
]);

const SPACES = ' \t\n\v\f\r';

export function isSpace(character: string): boolean {
  return character !== '' && SPACES.includes(character);
}

/** A line that is not a command, or has arguments that the command does not take. `message` is the first line of the answer. */
export class LineError extends Error {
  /** Command whose `help` explains the arguments; null if there is none. */
  readonly help: string | null;

  constructor(message: string, help: string | null = null) {
    super(message);
    this.name = 'LineError';
    this.help = help;
  }
}

const SHOWN_LENGTH_MAX = 80;
/** Control characters, line separators, and marks that change the direction of writing. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu;

/**
 * Makes a text from outside safe for terminals and for programs that read lines: characters that a terminal would interpret become
 * `\x1b` or `\u{2028}`.
 */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** A part of the line in quotes, shortened if it is long. */
export function quoted(text: string): string {
  const cut = text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
  return `'${printable(cut)}'`;
}
