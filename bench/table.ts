import type { RowResult } from './bench.ts';

const HEAD = ['job', 'QEMU', 'vmferry', 'ratio', 'target', 'met'];

/** The results as a Markdown table with aligned columns. */
export function tableOf(results: readonly RowResult[]): string {
  const rows = [HEAD, ...results.map(cellsOf)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join('\n');
}

function cellsOf(result: RowResult): string[] {
  const ratio = result.ratio === null ? '–' : result.ratio.toFixed(2);
  const met = result.isMet === null ? '–' : result.isMet ? 'yes' : 'no';
  return [result.job, result.qemu ?? '–', result.vmferry, ratio, result.target, met];
}
