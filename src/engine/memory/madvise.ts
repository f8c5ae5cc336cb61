import { createRequire } from 'node:module';

type Madvise = {
  (address: Uint8Array, length: number, advice: number): number;
  async(address: Uint8Array, length: number, advice: number, done: () => void): void;
};

let call: Madvise | null = null;

/**
 * Gives Linux advice about whole, aligned pages of memory (`man 2 madvise`).
 * @returns false where the call or its library is missing, or the system does not take the advice.
 */
export function madvise(bytes: Uint8Array, advice: number): boolean {
  if (process.platform !== 'linux' || bytes.length === 0) return false;
  try {
    return madviseOf()(bytes, bytes.length, advice) === 0;
  } catch {
    return false;
  }
}

/** The same on a thread of the pool. Resolves when the call has ended, however it did. */
export async function madviseAsync(bytes: Uint8Array, advice: number): Promise<void> {
  if (process.platform !== 'linux' || bytes.length === 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  try {
    madviseOf().async(bytes, bytes.length, advice, resolve);
  } catch {
    return;
  }
  await promise;
}

function madviseOf(): Madvise {
  call ??= koffi().load(null).func('int madvise(void *address, size_t length, int advice)') as Madvise;
  return call;
}

/** Where `bytes` lie in the process. @throws Error if the library is missing. */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(koffi().address(bytes));
}

/** Calls of the C library. Loaded when it is first needed. @throws Error if it cannot be. */
export function koffi(): typeof import('koffi') {
  return createRequire(import.meta.url)('koffi') as typeof import('koffi');
}
