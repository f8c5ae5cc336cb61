/** Why JSON text was refused. `offset` counts characters from 0, `line` and `column` from 1. */
export class JsonSyntaxError extends Error {
  readonly offset: number;
  readonly line: number;
  readonly column: number;

  constructor(reason: string, text: string, offset: number) {
    let line = 1;
    let lineStart = 0;
    // Not split into lines: the text may be millions of line ends.
    for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) {
      line += 1;
      lineStart = at + 1;
    }
    const column = offset - lineStart + 1;
    super(`${reason} at offset ${offset} (line ${line}, column ${column})`);
    this.name = 'JsonSyntaxError';
    this.offset = offset;
    this.line = line;
    this.column = column;
  }
}
