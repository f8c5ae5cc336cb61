import { oneLine } from './output/plain-text.ts';

/* Rows as a table for people. */

/** A heading, and a line a row; what is null is a dash. */
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
