import { LineError } from './line-error.ts';
import { quoted } from './printable.ts';

/**
 * Walks over a line. What separates words is what C calls white space: the line may have line feeds in it, and they
 * mean no more than a blank.
 */
export class Reader {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** The character here, or the one `ahead` of it; empty behind the end. */
  peek(ahead = 0): string {
    return this.text.charAt(this.at + ahead);
  }

  skipSpace(): void {
    while (isSpace(this.peek())) this.at += 1;
  }

  /** Everything up to white space or the end. */
  word(): string {
    const start = this.at;
    while (!this.isAtEnd && !isSpace(this.peek())) this.at += 1;
    return this.text.slice(start, this.at);
  }

  /** Everything that is left. */
  rest(): string {
    const start = this.at;
    this.at = this.text.length;
    return this.text.slice(start);
  }

  /** A name of a command: a word, or what stands before a slash (`x/4x` is `x`). */
  commandName(): string {
    this.skipSpace();
    const start = this.at;
    while (!this.isAtEnd && !isSpace(this.peek()) && this.peek() !== '/') this.at += 1;
    return this.text.slice(start, this.at);
  }

  /**
   * A word, or text in double quotes, in which `\n`, `\r`, `\\`, `\'` and `\"` stand for something. A quote within a word
   * is a character like any other, and so is a single quote anywhere.
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
    if (meant === undefined) throw new LineError(`\\${quoted(character).slice(1, -1)} means nothing within a string`);
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
