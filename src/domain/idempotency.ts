import { DomainError } from './errors.ts';
import type { Clock } from './ports/process.ts';
import type { Store } from './ports/store.ts';

/** How long the answer to a request that named itself by a key is kept, milliseconds. */
export const IDEMPOTENCY_KEPT_MS = 24 * 60 * 60 * 1000;
/** Answers that are too old are removed so many at a time, when a new one is kept. */
const REMOVED_AT_ONCE = 100;

/** What was answered when something began: where it is, and the body as it was sent. */
export type KeptAnswer = {
  readonly location: string;
  readonly body: string;
  /** Sequence of the job that began, whose id may become another's; null if no job began. */
  readonly jobSequence: number | null;
};

/** A request: the key that its client gave it, and a digest of everything that it asks for. */
export type KeyedRequest = { readonly key: string; readonly fingerprint: string };

export interface IdempotencyUseCases {
  /** The answer that a request with this key had, or null. @throws DomainError if that was another request. */
  find(request: KeyedRequest): KeptAnswer | null;
  /** To be called inside the transaction that makes the answer true. */
  keep(request: KeyedRequest, answer: KeptAnswer): void;
}

/** Answers to requests that may come twice: one that a crash swallowed is given when the client asks again. */
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
