// The program of a test's thread: the source, or its built file. test/setup/built-workers.ts selects it.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { entryName } from '../../../scripts/build/built-urls.ts';

const SRC = new URL('../../../src/', import.meta.url).href;
const DIST = new URL('../../../dist/', import.meta.url);

/** From now on `builtProgram` returns built files, in this process and in its threads. */
export function useBuilt(): void {
  process.env.VMFERRY_TEST_USE_BUILT = '1';
}

/** @returns what a program of `src` was built to; the program itself if it was not built or is not to be used. */
export function builtProgram(program: URL): URL {
  if (process.env.VMFERRY_TEST_USE_BUILT === undefined || !program.href.startsWith(SRC)) return program;
  const built = new URL(`${entryName(program.href.slice(SRC.length))}.js`, DIST);
  return existsSync(fileURLToPath(built)) ? built : program;
}
