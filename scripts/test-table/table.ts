// The table of docs/testing.md: each feature with its test files and the scenarios of QEMU that they run.

import type { Feature } from './features.ts';

/** A test file: its path from the project's root, and its text. */
export type TestFile = { readonly path: string; readonly text: string };

/** The path of one of QEMU's own migration tests in a comment. The character before it tells it from an import path. */
const SCENARIO = /(?<![\w./])\/(?:migration(?:\/[\w+-]+)+|dirty_limit\b)/g;

/**
 * The table as Markdown, one row for each feature that has tests.
 *
 * @throws Error with the paths of all test files that belong to no feature.
 */
export function testTable(files: readonly TestFile[], features: readonly Feature[]): string {
  const rows = new Map(features.map(({ name }) => [name, [] as TestFile[]]));
  const without: string[] = [];
  for (const file of files) {
    const feature = features.find(({ files: patterns }) => patterns.some((pattern) => matches(file.path, pattern)));
    if (feature === undefined) without.push(file.path);
    else rows.get(feature.name)?.push(file);
  }
  if (without.length > 0) {
    throw new Error(`${without.join(', ')}: name a feature for the file in scripts/test-table/features.ts.`);
  }
  const lines = [...rows].filter(([, own]) => own.length > 0).map(([name, own]) => row(name, own));
  return ['| feature | tests | QEMU scenarios |', '|---|---|---|', ...lines].join('\n');
}

/** Replaces the text between the two marks of a page. */
export function withTable(page: string, table: string): string {
  const parts = /^(.*<!-- test-table -->\n).*(\n<!-- \/test-table -->.*)$/s.exec(page);
  if (parts === null) throw new Error('The page has no marks <!-- test-table --> and <!-- /test-table -->.');
  return `${parts[1]}\n${table}\n${parts[2]}`;
}

function matches(path: string, pattern: string): boolean {
  const name = path.slice('test/'.length, -'.test.ts'.length);
  if (pattern.endsWith('/')) return name.startsWith(pattern);
  const expression = pattern
    .split('*')
    .map((part) => part.replaceAll(/[.+/]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${expression}$`).test(name);
}

/** `test/a/`: `b`, `c` for each folder, and the scenarios of all files in the order of their names. */
function row(feature: string, files: readonly TestFile[]): string {
  const folders = Map.groupBy(files, ({ path }) => path.slice(0, path.lastIndexOf('/') + 1));
  const tests = [...folders].map(([folder, own]) => `\`${folder}\`: ${own.map(shortName).join(', ')}`);
  const scenarios = new Set(files.flatMap(({ text }) => text.match(SCENARIO) ?? []));
  const shown = [...scenarios].sort().map((scenario) => `\`${scenario}\``);
  return `| ${feature} | ${tests.join(' · ')} | ${shown.join(', ')} |`;
}

function shortName({ path }: TestFile): string {
  return path.slice(path.lastIndexOf('/') + 1, -'.test.ts'.length);
}
