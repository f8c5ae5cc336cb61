// Circles of imports between source files, type imports included.

import type { SourceFile } from './source-file.ts';

/**
 * Groups of files that import each other, directly or through others; a file that imports itself is one too.
 * @returns the paths of each group in alphabetical order, the groups by their first path.
 */
export function importCircles(files: readonly SourceFile[]): string[][] {
  const imports = new Map(files.map(({ path, imports }) => [path, imports.map(({ target }) => target)]));
  const search = new CircleSearch(imports);
  for (const { path } of files) search.visit(path);
  return search.circles.map((circle) => circle.sort()).sort(([one = ''], [other = '']) => one.localeCompare(other));
}

/** Tarjan's search for strongly connected components: one visit of each file. */
class CircleSearch {
  readonly circles: string[][] = [];
  readonly #imports: ReadonlyMap<string, readonly string[]>;
  /** When each file was first visited. */
  readonly #order = new Map<string, number>();
  /** Files whose component is not known yet, in the order of their visits. */
  readonly #open: string[] = [];

  constructor(imports: ReadonlyMap<string, readonly string[]>) {
    this.#imports = imports;
  }

  /** @returns the smallest visit number that can be reached from the file among those that are open. */
  visit(path: string): number {
    const known = this.#order.get(path);
    if (known !== undefined) return known;
    const own = this.#order.size;
    let lowest = own;
    this.#order.set(path, own);
    this.#open.push(path);
    const targets = (this.#imports.get(path) ?? []).filter((target) => this.#imports.has(target));
    for (const target of targets) {
      const reached = this.#order.has(target) && !this.#open.includes(target) ? lowest : this.visit(target);
      lowest = Math.min(lowest, reached);
    }
    if (lowest < own) return lowest;
    const component = this.#open.splice(this.#open.indexOf(path));
    if (component.length > 1 || targets.includes(path)) this.circles.push(component);
    return lowest;
  }
}
