/*
 * Text that came from outside goes to terminals, and into lines that programs take apart: a name with a line feed must
 * not look like another line, nor one with an escape sequence paint the screen.
 */

const SHOWN_LENGTH_MAX = 80;
/** Control characters, separators of lines, and marks that turn the direction of writing. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu;

/** The text on one line: what a terminal would obey stands as `\x1b` or `\u{2028}`. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** A part of what was typed, in quotes, cut if it is long. */
export function quoted(text: string): string {
  const cut = text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
  return `'${printable(cut)}'`;
}
