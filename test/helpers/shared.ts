// Resources of tests are closed after the test that opened them, or after the last test if the tests of a file share
// them.

import { afterAll, beforeAll, onTestFinished } from 'vitest';

type Closing = () => unknown;

/** The cleanups of shared resources; null while a test runs. */
let lasting: Closing[] | null = null;

/** Closes what is opened here: after this test, or, inside `shared`, after all tests that share it. */
export function whenOver(close: Closing): void {
  if (lasting === null) onTestFinished(async () => void (await close()));
  else lasting.push(close);
}

/** Makes something before the first test of a file or a `describe`, and closes it after the last one. */
export function shared<T>(make: () => Promise<T>): () => T {
  const closings: Closing[] = [];
  let made: { readonly value: T } | null = null;
  beforeAll(async () => {
    lasting = closings;
    try {
      made = { value: await make() };
    } finally {
      lasting = null;
    }
  });
  afterAll(async () => {
    for (const close of closings.toReversed()) await close();
  });
  return () => {
    if (made === null) throw new Error('it is made before the first test, not while tests are collected');
    return made.value;
  };
}
