import { randomUUID } from 'node:crypto';
import { isUuid } from '../config/flag-values.ts';
import { DomainError } from '../domain/errors.ts';
import type { Identity } from '../domain/ports/process.ts';
import type { Store } from '../domain/ports/store.ts';

/** Key of the store; its value is `yes` once --uuid has been given. */
const UUID_SET = 'uuid-set';

/** Name and uuid from the flags; the uuid is null if it was not given. */
export type GivenIdentity = { readonly name: string; readonly uuid: string | null };

/** The given uuid, or the stored one, or a new one. Stores the uuid, and whether it was ever given. */
export function identityOf(machine: GivenIdentity, store: Pick<Store, 'identity'>): Identity {
  const kept = store.identity.get('uuid');
  if (machine.uuid === null && kept !== null && !isUuid(kept)) {
    const advice = 'Restore the data directory from a copy, or give the uuid with --uuid.';
    throw new DomainError('stored_settings_unreadable', `The stored uuid is '${kept.slice(0, 80)}'. ${advice}`);
  }
  const uuid = machine.uuid ?? kept ?? randomUUID();
  if (uuid !== kept) store.identity.set('uuid', uuid);
  const isUuidSet = machine.uuid !== null || store.identity.get(UUID_SET) === 'yes';
  if (isUuidSet) store.identity.set(UUID_SET, 'yes');
  return { name: machine.name, uuid, isUuidSet };
}
