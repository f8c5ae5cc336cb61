import { parseArgs } from 'node:util';
import { type BenchRow, MEBIBYTE } from './bench.ts';

export type BenchOptions = {
  readonly rows: readonly BenchRow[];
  readonly runs: number;
  readonly ramBytes: number | null;
  readonly isKept: boolean;
};

const RUNS_DEFAULT = 5;
const RUNS_MAX = 100;
const UNIT_BYTES = { M: MEBIBYTE, G: 1024 * MEBIBYTE } as const;

/** Reads the command line. @returns null if it is not valid; then the error has been printed */
export function readOptions(
  argv: readonly string[],
  all: readonly BenchRow[],
): BenchOptions | 'help' | 'report' | null {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        rows: { type: 'string' },
        runs: { type: 'string' },
        ram: { type: 'string' },
        'no-save': { type: 'boolean' },
        report: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
    if (values.help === true) {
      console.log(usage(all));
      return 'help';
    }
    if (values.report === true) return 'report';
    return {
      rows: chosenRows(values.rows, all),
      runs: runCount(values.runs),
      ramBytes: values.ram === undefined ? null : ramSize(values.ram),
      isKept: values['no-save'] !== true,
    };
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function chosenRows(text: string | undefined, all: readonly BenchRow[]): readonly BenchRow[] {
  if (text === undefined) return all;
  return text.split(',').map((name) => {
    const row = all.find((candidate) => candidate.name === name);
    if (row === undefined) throw new Error(`there is no row "${name}"; the rows are ${namesOf(all)}`);
    return row;
  });
}

function runCount(text: string | undefined): number {
  const runs = text === undefined ? RUNS_DEFAULT : Number(text);
  if (Number.isInteger(runs) && runs >= 1 && runs <= RUNS_MAX) return runs;
  throw new Error(`--runs must be a whole number from 1 to ${RUNS_MAX}, not "${text}"`);
}

function ramSize(text: string): number {
  const match = /^(\d{1,6})([MG])$/.exec(text);
  if (match === null) throw new Error(`--ram must be a size such as 256M or 1G, not "${text}"`);
  return Number(match[1]) * UNIT_BYTES[match[2] as 'M' | 'G'];
}

function namesOf(rows: readonly BenchRow[]): string {
  return rows.map((row) => row.name).join(', ');
}

function usage(all: readonly BenchRow[]): string {
  return [
    'npm run bench -- [OPTIONS]: measures vmferry and QEMU, prints the table and stores it in bench/results/',
    '',
    `  --rows A,B   only these rows; all rows: ${namesOf(all)}`,
    `  --runs N     runs of each side [${RUNS_DEFAULT}]`,
    "  --ram SIZE   guest RAM in place of the rows' own, with M or G: for trying things out, not for figures",
    '  --no-save    do not store the results',
    '  --report     measure nothing: write the newest stored result of each row into bench/README.md',
    '  --help       print this',
  ].join('\n');
}
