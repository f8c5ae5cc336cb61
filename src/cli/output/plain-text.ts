import type { CommandIo } from '../command-io.ts';

/* Text for people: sizes, times, tables and colours; text from outside without control characters. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const UNIT_STEP = 1024;

/** One line without control characters, which a terminal would obey. For every text that comes from outside. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, ' ').trim();
}

/** A size in powers of 1024: `37.2 MiB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1023.97 rounded to one digit would be 1024.0, so it is shown in the next unit.
  while (Number(value.toFixed(1)) >= UNIT_STEP && unit < UNITS.length - 1) {
    value /= UNIT_STEP;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** A duration in milliseconds as text: `0.4 s`, `2 min 5 s`, `3 h 20 min`. */
export function durationText(ms: number): string {
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A duration in milliseconds as a clock shows it: `0:09`, `1:02:03`. */
export function clockText(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** Decodes UTF-8 that comes in pieces, and replaces control characters except line ends and tabs by spaces. */
export class PrintableStream {
  readonly #decoder = new TextDecoder();

  take(chunk: Buffer): string {
    return printable(this.#decoder.decode(chunk, { stream: true }));
  }
}

function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n')
    .replaceAll(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}]/gu, ' ');
}

/** A table: a line of titles and a line for each row. Null is a dash. */
export function table(titles: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => oneLine(cell ?? '-')));
  const widths = titles.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const lineOf = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [titles, ...cells].map((row) => `${lineOf(row)}\n`).join('');
}

const CODES = { dim: 2, red: 31, yellow: 33, cyan: 36 } as const;

/** Returns the text with the escape sequences of a colour, or unchanged. */
export type Paint = (colour: keyof typeof CODES, text: string) => string;

/** Colours are used if standard output is a terminal other than `dumb` and NO_COLOR is not set. */
export function createPaint(io: CommandIo): Paint {
  const { noColor, terminal } = io.environment;
  const isColoured = io.outColumns() !== null && terminal !== 'dumb' && (noColor ?? '') === '';
  return (colour, text) => (isColoured && text !== '' ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text);
}
