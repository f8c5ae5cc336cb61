/*
 * Strings as QEMU reads them: in double or single quotes. The other kind of quote needs no escape inside, and \' is an escape in
 * both. A string may be nearly as long as a message, so its end is searched in one pass.
 */

const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;

/**
 * Reads the string whose opening quote is at `start`. @returns its value, and the offset behind its closing quote
 * @throws JsonSyntaxError with the position of the error
 */
export function readQemuString(text: string, start: number): { readonly value: string; readonly end: number } {
  const quote = text.charCodeAt(start);
  let at = start + 1;
  let isEscaped = false;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) break;
    if (code < FIRST_PRINTABLE) throw new JsonSyntaxError('a control character in a string', text, at);
    if (code !== BACKSLASH) continue;
    isEscaped = true;
    at += 1;
  }
  if (at >= text.length) throw new JsonSyntaxError('a string that does not end', text, start);
  const inside = text.slice(start + 1, at);
  return { value: isEscaped ? withoutEscapes(inside, text, start) : inside, end: at + 1 };
}

function withoutEscapes(inside: string, text: string, start: number): string {
  try {
    return JSON.parse(`"${inside.replace(/\\(.)|"/gs, asInJson)}"`) as string;
  } catch {
    throw new JsonSyntaxError('a bad escape in the string', text, start);
  }
}

function asInJson(match: string, escaped: string | undefined): string {
  if (match === '"') return '\\"';
  return escaped === "'" ? "'" : match;
}

/** JSON text that was refused. `offset` counts characters from 0, `line` and `column` count from 1. */
export class JsonSyntaxError extends Error {
  readonly offset: number;
  readonly line: number;
  readonly column: number;

  constructor(reason: string, text: string, offset: number) {
    let line = 1;
    let lineStart = 0;
    // The text is not split: it may have millions of lines.
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
