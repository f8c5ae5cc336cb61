import { DomainError } from '../errors.ts';
import type { Store } from '../store-ports.ts';

/** Writes how work ended: where the disk is full, in the room that is kept for that. @throws what the store throws. */
export function withReserve<T>({ reserve }: Pick<Store, 'reserve'>, write: () => T): T {
  try {
    return write();
  } catch (error) {
    const isFull = error instanceof DomainError && error.code === 'no_space';
    if (!isFull || !reserve.free()) throw error;
    return write();
  }
}
