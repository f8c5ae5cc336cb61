import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';
import type { MigrationStatus } from './status.ts';

/** Lets a migration that waits in `state` go on. @throws DomainError if it is not in that state. */
export function continueMigration(context: Context, state: MigrationStatus): void {
  const status = context.current?.direction === 'outgoing' ? context.current.status : 'none';
  if (status !== state) {
    throw new DomainError('not_in_expected_state', `The migration is in state '${status}', not '${state}'.`);
  }
  if (state === 'pre-switchover') context.current?.outgoing()?.continueSwitchover();
}
