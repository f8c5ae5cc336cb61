// Rewrites paths that a source file resolves relative to itself, because dist is a single flat folder.

import { posix } from 'node:path';

const OWN_URL = /new URL\((['"])(\.[^'"]*)\1, import\.meta\.url\)/g;
/** A text that ends like the path of a source file. */
const SOURCE_PATH = /(['"`])(\.{1,2}\/[^'"`\s]*\.ts)\1/;

/** Name of the built file of an entry point, without its extension. */
export function entryName(path: string): string {
  return path.replace(/\.ts$/, '').replaceAll('/', '-');
}

/**
 * Rewrites each `new URL('PATH', import.meta.url)` of a source file for `dist`, which is flat and next to `src`.
 * @param path path of the source file, relative to `src`
 * @param isEntry tells whether a source file, given relative to `src`, is an entry point
 * @throws Error if a URL refers to a source file that is not an entry point
 */
export function withBuiltUrls(path: string, text: string, isEntry: (path: string) => boolean): string {
  return text.replaceAll(OWN_URL, (_, quote: string, relative: string) => {
    const target = posix.join(posix.dirname(path), relative);
    if (!target.endsWith('.ts')) return `new URL(${quote}./${target}${quote}, import.meta.url)`;
    if (!isEntry(target)) throw new Error(`${relative} is not an entry point and was not built.`);
    return `new URL(${quote}./${entryName(target)}.js${quote}, import.meta.url)`;
  });
}

/** @throws Error if the built code still refers to a source file */
export function assertNoSources(text: string): void {
  const left = SOURCE_PATH.exec(text);
  if (left !== null) throw new Error(`${left[2]} is not a file of the package.`);
}
