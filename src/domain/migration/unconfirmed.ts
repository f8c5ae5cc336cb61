import type { MigrationEnd } from '../transfer-port.ts';

const NOT_CONFIRMED =
  'Not confirmed by the target: the stream was taken to its end, but there was no return path on which the target could ' +
  'have said that it loaded the guest. Look at the target before the guest or this service is ended here. ' +
  'With the capability return-path on, over a socket, the target would have said so.';

/** What is to be known about a migration that ended without a failure; null if there is nothing. */
export function noteOf({ guest }: { readonly guest: MigrationEnd['guest'] | null }): string | null {
  return guest === 'there, unconfirmed' ? NOT_CONFIRMED : null;
}
