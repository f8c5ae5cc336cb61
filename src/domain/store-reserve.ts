import { DomainError } from './errors.ts';
import type { Report } from './ports/process.ts';
import type { Store } from './ports/store.ts';

/**
 * Writes the end of work, or the start of work that frees space or saves the guest. On a full disk it frees the
 * reserved space and writes again, so `write` may be called twice.
 * @throws the error of the store
 */
export function withReserve<T>({ reserve }: Pick<Store, 'reserve'>, write: () => T): T {
  try {
    return write();
  } catch (error) {
    const isFull = error instanceof DomainError && error.code === 'no_space';
    if (!isFull || !reserve.free()) throw error;
    return write();
  }
}

/** Reserves the space again if possible. @returns true if it is reserved. */
export function keepIfPossible({ reserve }: Pick<Store, 'reserve'>): boolean {
  try {
    reserve.keep();
    return true;
  } catch {
    return false;
  }
}

/**
 * Writes something that has already happened, with the reserved space if necessary. An error is reported, not thrown.
 */
export function writeOrReport(
  { store, report }: { readonly store: Pick<Store, 'reserve'>; readonly report: Report },
  write: () => void,
): void {
  try {
    withReserve(store, write);
  } catch (error) {
    report(error);
  }
}
