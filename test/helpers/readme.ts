// The README as a list of steps: commands with the lines that the README shows below each.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

/** A command of the README, and the lines below it. */
export type Step = { readonly command: string; readonly expected: string };

/** The commands of all sh and console blocks of a Markdown text, in their order. */
export function stepsOf(markdown: string): Step[] {
  return [...markdown.matchAll(/^```(sh|console)\n(.*?)^```$/gms)].flatMap(([, kind, text = '']) => {
    if (kind === 'sh') return linesOf(text).map((command) => ({ command, expected: '' }));
    return text
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = '', ...expected] = step.trimEnd().split('\n');
        return { command, expected: expected.join('\n') };
      });
  });
}

function linesOf(text: string): string[] {
  return text.trimEnd().split('\n');
}

/** Figures, ids and times may differ, `…` is anything; the rest is as it is shown. */
export function patternOf(expected: string): RegExp {
  const parts = expected.split('\n').map((line) => (line === '…' ? '[^]*' : linePattern(line)));
  return new RegExp(`^${parts.join('\n')}\\s*$`);
}

function linePattern(line: string): string {
  if (line.startsWith('HTTP/')) return escaped(line);
  return line
    .split('…')
    .map((part) =>
      escaped(part)
        .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, '[0-9a-f-]{36}')
        .replaceAll(/(?<=":)\d+(?:\\\.\d+)?(?=[,}]|$)/g, '\\d+(?:\\.\\d+)?')
        .replaceAll(/\d+\\\.\d(?= MB\/s)/g, '\\d+\\.\\d'),
    )
    .join('[^\\n]*');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
