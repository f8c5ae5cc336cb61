// Which of the two a checkout runs: what was built of its sources, or the sources themselves. Plain JavaScript, as
// vmferry.js is.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Written by scripts/build.ts. */
export const BUILT = join(ROOT, 'dist/main.js');
/** Not in a package. */
export const SOURCE = join(ROOT, 'src/main.ts');
/** Packages go into what is built too; which ones, this file says. */
const LOCK = join(ROOT, 'package-lock.json');

/** @returns whether dist is there and as new as all that it was built of; true of a package, which has nothing else. */
export function isBuilt() {
  const built = modified(BUILT);
  return built > modified(LOCK) && built > newest(join(ROOT, 'src'));
}

/**
 * Of a folder, when anything in it was last changed, added or removed; milliseconds since 1970, 0 if it is not there.
 * @param {string} folder
 * @returns {number}
 */
function newest(folder) {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    const inside = entries.map((entry) => (entry.isDirectory() ? newest : modified)(join(folder, entry.name)));
    return Math.max(modified(folder), ...inside);
  } catch {
    return 0;
  }
}

/** @param {string} path */
function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
