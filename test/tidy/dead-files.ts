// Files that nothing uses.

import type { SourceFile } from './source-file.ts';

/** Paths of the files that cannot be reached from the roots through imports and `new URL('…', import.meta.url)`. */
export function deadFiles(files: readonly SourceFile[], roots: readonly string[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const pending = [...roots];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const file = byPath.get(path);
    if (file === undefined || reached.has(path)) continue;
    reached.add(path);
    pending.push(...file.imports.map(({ target }) => target), ...file.urls);
  }
  return files.map(({ path }) => path).filter((path) => !reached.has(path));
}
