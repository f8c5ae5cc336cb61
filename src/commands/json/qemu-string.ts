import { JsonSyntaxError } from './syntax-error.ts';

/*
 * Strings as QEMU reads them: in double or single quotes, of which the other kind needs no escape inside, and \' is an
 * escape in both. The end is looked for character by character, since a string may be the whole of a large text.
 */

const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;

/**
 * The string whose opening quote is at `start`, and the offset behind its closing one.
 * @throws JsonSyntaxError naming the place.
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
