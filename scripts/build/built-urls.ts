// The paths of what a source finds beside itself, in the one folder that everything is built into.

import { posix } from 'node:path';

const OWN_URL = /new URL\((['"])(\.[^'"]*)\1, import\.meta\.url\)/g;
/** Any text that ends like the path of a source. */
const SOURCE_PATH = /(['"`])(\.{1,2}\/[^'"`\s]*\.ts)\1/;

/** The name of what a source that threads begin with is built to, without its extension. */
export function entryName(path: string): string {
  return path.replace(/\.ts$/, '').replaceAll('/', '-');
}

/**
 * Makes each `new URL('PATH', import.meta.url)` of a source right for `dist`, which is flat and lies beside `src`.
 * @param path the source's, relative to `src`.
 * @param isEntry whether a source, by its path relative to `src`, is one that a thread begins with.
 * @throws Error if the address is that of a source which is none.
 */
export function withBuiltUrls(path: string, text: string, isEntry: (path: string) => boolean): string {
  return text.replaceAll(OWN_URL, (_, quote: string, relative: string) => {
    const target = posix.join(posix.dirname(path), relative);
    if (!target.endsWith('.ts')) return `new URL(${quote}./${target}${quote}, import.meta.url)`;
    if (!isEntry(target)) throw new Error(`${relative} was not built.`);
    return `new URL(${quote}./${entryName(target)}.js${quote}, import.meta.url)`;
  });
}

/** @throws Error if what was built still names a source. */
export function assertNoSources(text: string): void {
  const left = SOURCE_PATH.exec(text);
  if (left !== null) throw new Error(`${left[2]} would not be found in the package.`);
}
