import { DomainError } from './errors.ts';
import type { Clock } from './ports/process.ts';
import type { Store } from './ports/store.ts';

/** Time for which the answer to a request with an idempotency key is kept, milliseconds. */
export const IDEMPOTENCY_KEPT_MS = 24 * 60 * 60 * 1000;
/** Expired answers that are removed when a new one is stored, at most. */
const REMOVED_AT_ONCE = 100;

/** The answer to a request that started something: its location, and the body as sent. */
export type KeptAnswer = {
  readonly location: string;
  readonly body: string;
  /** Sequence number of the started job, because its id may be reused; null if no job was started. */
  readonly jobSequence: number | null;
};

/** A request: its idempotency key, and a digest of its content. */
export type KeyedRequest = { readonly key: string; readonly fingerprint: string };

export interface IdempotencyUseCases {
  /**
   * The stored answer to a request with this key, or null. @throws DomainError if the key belongs to another request.
   */
  find(request: KeyedRequest): KeptAnswer | null;
  /** Must be called inside the transaction of the request. */
  keep(request: KeyedRequest, answer: KeptAnswer): void;
}

/** Answers to repeated requests: a client that repeats a request after a crash receives the first answer. */
export function idempotency({ requestKeys }: Pick<Store, 'requestKeys'>, clock: Clock): IdempotencyUseCases {
  return {
    find: ({ key, fingerprint }) => {
      const kept = requestKeys.get(key);
      if (kept === null || kept.keptAt + IDEMPOTENCY_KEPT_MS <= clock.now()) return null;
      if (kept.fingerprint === fingerprint) {
        const { location, body, jobSequence } = kept;
        return { location, body, jobSequence };
      }
      const detail = 'The Idempotency-Key was given with another request before; each request needs one of its own.';
      throw new DomainError('idempotency_key_reused', detail);
    },
    keep: (request, answer) => {
      const keptAt = clock.now();
      requestKeys.put({ ...request, ...answer, keptAt });
      requestKeys.removeOld(keptAt - IDEMPOTENCY_KEPT_MS, REMOVED_AT_ONCE);
    },
  };
}
