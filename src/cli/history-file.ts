import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Environment } from './world.ts';

/* What was typed at the prompt before, kept in a file that only its owner reads. Newest last. */

export const HISTORY_LINES_MAX = 1000;

/** Where it lies unless told otherwise; null where there is no home directory. */
export function historyPath({ stateHome, home }: Environment): string | null {
  if (stateHome?.startsWith('/')) return join(stateHome, 'vmferry', 'monitor-history');
  return home ? join(home, '.local', 'state', 'vmferry', 'monitor-history') : null;
}

/** Newest first, as the prompt wants it. A file that is not there holds nothing. */
export function readHistory(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines
      .filter((line) => line !== '')
      .reverse()
      .slice(0, HISTORY_LINES_MAX);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Takes it as the prompt has it: newest first. */
export function writeHistory(path: string, lines: readonly string[]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const text = lines
    .slice(0, HISTORY_LINES_MAX)
    .toReversed()
    .map((line) => `${line}\n`);
  writeFileSync(path, text.join(''), { mode: 0o600 });
}
