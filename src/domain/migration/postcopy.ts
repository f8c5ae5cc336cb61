import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';

/*
 * The verbs of post-copy. No migration here ever enters that phase, since the capability cannot be switched on: each
 * is refused as a QEMU refuses it outside of that phase, in the same order of reasons.
 */

/** migrate-pause. */
export function pausePostcopy({ current }: Context): never {
  const now = current === null ? 'none' : current.status;
  throw new DomainError(
    'not_in_postcopy',
    `A migration can be paused in postcopy-active and postcopy-recover only; it is in '${now}'.`,
  );
}

/** migrate-recover. */
export function recoverPostcopy({ current }: Context, uri: string): never {
  const now = current === null ? 'none' : current.status;
  throw new DomainError(
    'not_postcopy_paused',
    `Nothing waits to be recovered from ${uri}: the migration is in '${now}', not in postcopy-paused.`,
  );
}

/** migrate-start-postcopy. */
export function startPostcopy({ settings, current }: Context): never {
  if (!settings.has('postcopy-ram')) {
    throw new DomainError(
      'postcopy_not_enabled',
      'The capability postcopy-ram has to be on before a migration starts.',
    );
  }
  const now = current === null ? 'none' : current.status;
  throw new DomainError('not_in_expected_state', `No migration that could go on in post-copy runs; it is in '${now}'.`);
}
