// What the compiler leaves as it is: it rewrites the paths of imports, but not those of workers.

const WORKER_URL = /new URL\((['"])(\.[^'"]*)\.ts\1, import\.meta\.url\)/g;
/** Any text that ends like the path of a source. */
const SOURCE_PATH = /(['"`])(\.{1,2}\/[^'"`\s]*\.ts)\1/;

/**
 * Makes `new URL('./x.ts', import.meta.url)` name what x.ts was compiled to.
 * @throws Error if there is no such file, or if a path of a source is left in any other form.
 */
export function withCompiledUrls(text: string, isCompiled: (path: string) => boolean): string {
  const rewritten = text.replaceAll(WORKER_URL, (_, quote: string, path: string) => {
    const target = `${path}.js`;
    if (!isCompiled(target)) throw new Error(`${path}.ts was not compiled.`);
    return `new URL(${quote}${target}${quote}, import.meta.url)`;
  });
  const left = SOURCE_PATH.exec(rewritten);
  if (left !== null) throw new Error(`${left[2]} would not be found in the package.`);
  return rewritten;
}
