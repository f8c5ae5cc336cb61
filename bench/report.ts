import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchRow, RowResult } from './bench.ts';
import { tableOf } from './table.ts';

/** The content of a file in bench/results/. */
export type Results = {
  /** Date and time in ISO 8601. */
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number | null>>;
  readonly command: string;
  readonly runs: number;
  readonly rows: readonly RowResult[];
};

const PAGE = fileURLToPath(new URL('./README.md', import.meta.url));
const BEGIN = '<!-- results -->';
const END = '<!-- /results -->';

/** Writes the newest stored result of each row into bench/README.md. @throws Error if there are no results or no marks */
export function updatePage(directory: string, rows: readonly BenchRow[]): void {
  const page = readFileSync(PAGE, 'utf8');
  writeFileSync(PAGE, withResults(page, readResults(directory), rows));
}

/** All results except those with another RAM size (`.local.json`), newest first. */
function readResults(directory: string): readonly Results[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json') && !name.endsWith('.local.json'))
    .toSorted()
    .reverse()
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as Results);
}

function withResults(page: string, all: readonly Results[], rows: readonly BenchRow[]): string {
  const [before, rest = ''] = page.split(BEGIN);
  const after = rest.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} has no place for results: ${BEGIN} … ${END}`);
  return `${before}${BEGIN}\n\n${resultsText(all, rows)}\n\n${END}${after}`;
}

function resultsText(all: readonly Results[], rows: readonly BenchRow[]): string {
  const newest = rows.flatMap(({ name }) => {
    const results = all.find((candidate) => candidate.rows.some((row) => row.name === name));
    return results === undefined ? [] : [{ results, row: results.rows.find((row) => row.name === name)! }];
  });
  if (newest.length === 0) throw new Error('there are no results yet: npm run bench');
  const sources = new Set(newest.map(({ results }) => results));
  const notes = newest.flatMap(({ row }) => row.notes.map((note) => `- *${row.name}*: ${note}`));
  return [tableOf(newest.map(({ row }) => row)), notes.join('\n'), [...sources].map(sourceText).join('\n')].join(
    '\n\n',
  );
}

/** The origin of figures: date, command and machine. */
function sourceText({ date, machine, command, runs, rows }: Results): string {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value ?? '–'}`);
  const names = rows.map((row) => row.name).join(', ');
  return `- ${date.slice(0, 10)}, \`${command}\` (${runs} runs): ${names}; ${facts.join(', ')}`;
}
