// Tests that exist in many combinations: `npm test` runs a sample, `npm run test:soak` runs them all.

import { inject, test } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** True in the project `soak`. */
    readonly hasAllCombinations: boolean;
  }
}

/**
 * Arguments for `test.each`, or cases of one test, in a file that MATRICES of vitest.config.ts names or that a file of the soak
 * run imports.
 * @param all the arguments of the soak run.
 * @param sample those of `npm test`: one of each kind.
 */
export function combinations<const All extends readonly unknown[]>(
  all: All,
  sample: readonly All[number][],
): readonly All[number][] {
  return inject('hasAllCombinations') ? all : sample;
}

/** A test of the soak run only, in a file of MATRICES; `npm test` has another test of its kind. */
export function testInSoak(name: string, body: () => Promise<void>): void {
  if (inject('hasAllCombinations')) test(name, body);
}
