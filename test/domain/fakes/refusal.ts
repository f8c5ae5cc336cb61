import { DomainError } from '../../../src/domain/errors.ts';

/** The DomainError that `work` throws, or null. Other errors are rethrown. */
export function refusalOf(work: () => unknown): DomainError | null {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}

/** The same for a promise. */
export async function rejectionOf(work: Promise<unknown>): Promise<DomainError | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}
