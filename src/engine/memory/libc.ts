import { createRequire } from 'node:module';
import type { LibraryHandle } from 'koffi';

/** The library through which functions of C are called. Loaded when it is first needed. @throws Error if it cannot be. */
export function koffi(): typeof import('koffi') {
  return createRequire(import.meta.url)('koffi') as typeof import('koffi');
}

/**
 * A function of the C library.
 * @param prototype its declaration in C.
 * @throws Error if koffi or the function is missing.
 */
export function libcFunction(prototype: string): ReturnType<LibraryHandle['func']> {
  return koffi().load(null).func(prototype);
}
