import { createRequire } from 'node:module';
import type { LibraryHandle } from 'koffi';

let loaded: typeof import('koffi') | undefined;

/**
 * The library through which functions of C are called. Loaded on the first call only: the lookup of a module makes system
 * calls, and they would replace the error number of the C function that was called before.
 * @throws Error if the library cannot be loaded.
 */
export function koffi(): typeof import('koffi') {
  loaded ??= createRequire(import.meta.url)('koffi') as typeof import('koffi');
  return loaded;
}

/**
 * A function of the C library.
 * @param prototype its declaration in C.
 * @throws Error if koffi or the function is missing.
 */
export function libcFunction(prototype: string): ReturnType<LibraryHandle['func']> {
  return koffi().load(null).func(prototype);
}
