import { DomainError } from '../errors.ts';
import type { MigrationAddress } from '../ports/migration-session.ts';
import type { MigrationRecord, OnInsert } from '../ports/store.ts';
import { refuseUnsuitableTransport } from './address-options.ts';
import { type IncomingArguments, readAddress } from './channels.ts';
import { Reception, type ReceptionParts } from './reception.ts';

export type IncomingParts = ReceptionParts & {
  /**
   * --keep-listening: default of requests. True: after a failed incoming migration the listener waits for the next
   * sender.
   */
  readonly keepListening: boolean;
};

/**
 * Starts to listen for an incoming migration. Nothing is recorded before the address is bound, so a refusal changes
 * nothing. A listener that remains from a failed migration is closed.
 * @throws DomainError
 */
export async function startIncoming(
  parts: IncomingParts,
  arguments_: IncomingArguments,
  onInsert?: OnInsert<MigrationRecord>,
): Promise<MigrationRecord> {
  const { addressRules, settings, occupancy, migrations } = parts;
  const address = readAddress(arguments_, 'listen', addressRules);
  refuseUnsuitableTransport(address, settings);
  occupancy.refuse('incoming migration');
  occupancy.refuse('listener');
  const reception = new Reception(parts, optionsOf(parts, arguments_));
  return occupancy.during('listener', async () => {
    try {
      await open(parts, reception, address);
      // Meanwhile an operator may have continued the guest that had left.
      occupancy.refuse('incoming migration');
      const record = reception.begin(onInsert);
      migrations.listener = reception;
      return record;
    } catch (error) {
      await reception.abort();
      throw error;
    }
  });
}

/**
 * Ends a listener without a sender: its migration is cancelled, and a machine whose guest had left is in `postmigrate`
 * again.
 * @throws DomainError if nothing listens, or a sender has come.
 */
export async function stopListening({ migrations }: Pick<IncomingParts, 'migrations'>): Promise<void> {
  const { listener } = migrations;
  if (listener === null) {
    throw new DomainError('not_expecting_incoming', 'No incoming migration is listened for.');
  }
  if (await listener.stopListening()) return;
  const id = listener.sent?.id ?? migrations.current?.id;
  throw new DomainError('migration_in_progress', `The sender of migration ${id} has come; it is under way.`);
}

/** Opens the address. First closes a listener with the same address that remains from a failed migration. */
async function open({ migrations }: IncomingParts, reception: Reception, address: MigrationAddress): Promise<void> {
  const left = migrations.listener;
  try {
    await reception.open(address);
  } catch (error) {
    const isTaken = error instanceof DomainError && error.code === 'address_in_use';
    if (!isTaken || left === null || !isSamePlace(left.address, address)) throw error;
    await left.abort();
    await reception.open(address);
  }
  await left?.abort();
}

function isSamePlace(bound: MigrationAddress | null, wanted: MigrationAddress): boolean {
  if (bound?.transport === 'tcp' && wanted.transport === 'tcp') return bound.port === wanted.port;
  return bound?.transport === 'unix' && wanted.transport === 'unix' && bound.path === wanted.path;
}

function optionsOf({ keepListening }: IncomingParts, arguments_: IncomingArguments) {
  const exitOnError = arguments_['exit-on-error'] === true;
  const keeps = arguments_['keep-listening'] ?? (keepListening && !exitOnError);
  if (!keeps || !exitOnError) return { exitOnError, keepListening: keeps };
  const reason = 'keep-listening and exit-on-error are both true; a process that ends cannot go on listening.';
  throw new DomainError('incompatible_parameters', reason, {
    violations: [{ pointer: '/keep-listening', reason }],
  });
}
