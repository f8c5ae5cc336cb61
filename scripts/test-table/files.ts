import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestFile } from './table.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** All test files of the project, sorted by path. */
export function testFiles(): TestFile[] {
  return readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/${name}`)
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}
