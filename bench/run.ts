/* `npm run bench`: runs the *.bench.ts files, prints the table and stores it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { qemuBinary } from '../test/helpers/qemu/binaries.ts';
import type { BenchContext, RowResult } from './bench.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, readOptions } from './options.ts';
import { type Results, updatePage } from './report.ts';
import { ROWS } from './rows.ts';
import { tableOf } from './table.ts';

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));

const options = readOptions(process.argv.slice(2), ROWS);
if (options === null) process.exitCode = 2;
else if (options === 'report') report();
else if (options !== 'help') await run(options);

async function run({ rows, runs, ramBytes, isKept }: BenchOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-bench-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  const withQemu = qemuBinary() !== null;
  if (!withQemu) console.error('QEMU 10 is not on the path, so its column is empty.');
  const context: BenchContext = { runs, ramBytes, withQemu, directory, log: (line) => console.error(line) };
  const results: RowResult[] = [];
  try {
    for (const row of rows) {
      console.error(`${row.name}:`);
      try {
        results.push(await row.measure(context));
      } catch (error) {
        console.error(`  failed: ${error instanceof Error ? error.stack : String(error)}`);
        process.exitCode = 1;
      }
    }
  } finally {
    remove();
  }
  console.log(`\n${tableOf(results)}`);
  if (isKept && results.length > 0) keep(results, runs, ramBytes);
}

function report(): void {
  try {
    updatePage(RESULTS, ROWS);
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}

/** Results with another RAM size are only for trying the bench. Their file name excludes them from the repository. */
function keep(results: readonly RowResult[], runs: number, ramBytes: number | null): void {
  const date = new Date().toISOString();
  const command = ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ');
  const stamp = date.slice(0, 19).replaceAll(':', '').replace('T', '-');
  const path = join(RESULTS, `${stamp}${ramBytes === null ? '' : '.local'}.json`);
  mkdirSync(RESULTS, { recursive: true });
  const kept: Results = { date, machine: describeMachine(), command, runs, rows: results };
  writeFileSync(path, `${JSON.stringify(kept, null, 2)}\n`);
  console.error(`written to ${path}`);
}
