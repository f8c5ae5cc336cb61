import { DomainError } from '../errors.ts';
import type { Settings } from '../settings/settings.ts';
import type { Migrations } from './current-migration.ts';

/*
 * The verbs of post-copy. No migration here ever enters that phase, since the capability cannot be switched on: each
 * verb is refused as QEMU refuses it outside of that phase, in the same order of reasons.
 */

/** migrate-pause. */
export function pausePostcopy({ status }: Migrations): never {
  throw new DomainError(
    'not_in_postcopy',
    `A migration can be paused in postcopy-active and postcopy-recover only; it is in '${status}'.`,
  );
}

/** migrate-recover. */
export function recoverPostcopy({ status }: Migrations, uri: string): never {
  throw new DomainError(
    'not_postcopy_paused',
    `Nothing waits to be recovered from ${uri}: the migration is in '${status}', not in postcopy-paused.`,
  );
}

/** migrate-start-postcopy. */
export function startPostcopy({ status }: Migrations, settings: Pick<Settings, 'has'>): never {
  if (!settings.has('postcopy-ram')) {
    throw new DomainError(
      'postcopy_not_enabled',
      'The capability postcopy-ram has to be on before a migration starts.',
    );
  }
  throw new DomainError(
    'not_in_expected_state',
    `No migration that could go on in post-copy runs; it is in '${status}'.`,
  );
}
