import { DomainError } from './errors.ts';
import type { Report } from './ports/process.ts';
import type { Store } from './ports/store.ts';

/**
 * Writes how work ended, or that something begins which frees room or saves the guest: where the disk is full, in the room
 * that is kept for that. `write` may be called twice.
 * @throws what the store throws.
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

/** Takes the room again if there is any; true if it is taken. */
export function keepIfPossible({ reserve }: Pick<Store, 'reserve'>): boolean {
  try {
    reserve.keep();
    return true;
  } catch {
    return false;
  }
}

/** Writes, in the reserved room if need be, what already has happened: a fault is reported, and nothing is thrown. */
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
